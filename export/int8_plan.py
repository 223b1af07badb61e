"""Which layers of a network become int8, and what range each rounded tensor gets.

The errors that the layers make one by one add up to about the error of all of them together. So each layer is
measured alone, with the range rules that serve it best; those that harm most for what they save stay in fp32,
as few as the limit allows.

How long that may take is bounded by `BUDGET`, in runs of the network and not in seconds: the same samples give the
same plan on every machine. A plan made on a spent budget keeps the limit too; it only has less in int8.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from export.int8_graph import Ends, Placer
from export.int8_judge import Judge, Limit
from export.int8_probe import Probe
from export.int8_ranges import RULES, Rule, Spread

Rules = dict[str, Rule]
"""The range rule of each tensor by name."""

MARGIN_DB = 1.0
"""The plan is made on other samples than it is judged by: it has to be so much better than the limit."""

ALONE_ON = 1
"""Samples on which a layer is measured alone: that makes many tries, and only puts the layers in order."""

WORTH_SERVING = 0.01
"""A layer with a smaller share of the work stays in fp32 rather than that ranges are searched for it."""

BUDGET = 6e12
"""Multiply-adds of all the runs that a search may take, as long as they are `LEAST_RUNS` for each layer: 4 to 10
minutes of an AMD EPYC's processor time (a probe does 11 to 27 thousand million of them a second)."""

LEAST_RUNS = 4
"""For each layer, whatever the budget: one alone, the rest to choose which ones stay in fp32."""

FOR_RANGES = 0.7
"""The share of the runs after which no more ranges are searched for."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The nodes that become int8, the ends of their tensors, and the harm it does on the planner's samples: the
    worst output's error as a multiple of what the limit, less `MARGIN_DB`, allows it."""

    chosen: tuple[str, ...]
    ranges: Mapping[str, Ends]
    harm: float


class Planner:
    """Tries plans on one network. `spreads` has every tensor of `probe`; `say` is called with a line for each step.

    `budget`: see `BUDGET`.
    """

    def __init__(
        self,
        placer: Placer,
        probe: Probe,
        spreads: Mapping[str, Spread],
        judge: Judge,
        limit: Limit,
        *,
        say: Say = lambda line: None,
        budget: float = BUDGET,
    ) -> None:
        self._placer, self._layers, self._probe = placer, placer.layers, probe
        self._spreads, self._judge, self._limit = spreads, judge, limit
        self._known: dict[tuple[str, Rule], Ends] = {}
        self._rules: Rules = {}
        self._say = say
        cost = sum(layer.cost for layer in self._layers.values())
        self._most = max(LEAST_RUNS * len(self._layers), int(budget / cost))
        self._runs = 0

    def plan(self) -> Plan:
        """The plan with most work in int8 that was found to keep the limit; perhaps one with no layer at all."""
        every = list(self._layers)
        whole = self._made(every)
        self._say(f"all {len(every)} layers in int8: {_beside(whole)}")
        if whole.harm <= 1:
            return whole
        order = self._by_harm()
        # Fewer layers in int8 err less (very nearly always): halve the interval.
        fails, holds = 0, len(order)
        best = self._made([])
        while holds - fails > 1:
            middle = (fails + holds) // 2
            tried = self._made([node for node in every if node not in order[:middle]])
            self._say(f"{len(every) - middle} of {len(every)} layers in int8: {_beside(tried)}")
            if tried.harm <= 1:
                holds, best = middle, tried
            else:
                fails = middle
        return self._with_more(best, order[:holds])

    def _with_more(self, best: Plan, left: Collection[str]) -> Plan:
        """`best` with whichever of the layers left out it can bear after all, those with most work first."""
        before = len(best.chosen)
        for node in sorted(left, key=lambda node: -self._layers[node].work):
            if self._runs >= self._most:
                self._say(f"the search ends after {self._runs} runs: what was not tried stays in fp32")
                break
            chosen = {*best.chosen, node}
            tried = self._made([node for node in self._layers if node in chosen])
            if tried.harm <= 1:
                best = tried
        self._say(f"{len(best.chosen) - before} more of the {len(left)} left out: {_beside(best)}")
        return best

    def _by_harm(self) -> list[str]:
        """The layers, those first that harm most for the work they save. Settles the rules of their tensors."""
        found = {node: self._plain(node) for node in self._layers}
        harms: dict[str, float] = {}
        for number, (node, rules) in enumerate(found.items(), 1):
            harms[node] = self._alone(node, rules)
            self._progress("measured alone", number)
        # Where the runs do not suffice for all, the ranges of those that harm most are searched for.
        for number, node in enumerate(sorted(harms, key=lambda node: -harms[node]), 1):
            if self._may_serve():
                harms[node], found[node] = self._served(node, harms[node])
                self._progress("with the best ranges", number)
        if not self._may_serve():
            self._say(f"{self._runs} runs done: no more ranges are searched for")
        for node in sorted(harms, key=lambda node: -harms[node]):
            for tensor, rule in found[node].items():
                self._rules.setdefault(tensor, rule)
        return sorted(harms, key=lambda node: -harms[node] / self._layers[node].work)

    def _served(self, node: str, harm: float) -> tuple[float, Rules]:
        """The harm one layer does alone, and the rules for its tensors that were found to make it least.

        `harm` is what it does with the plain ones.
        """
        rules = self._plain(node)
        for some in [list(rules), *([tensor] for tensor in rules)]:
            for rule in RULES:
                # One that errs or saves so little that it does not matter need not be served better.
                if harm < 0.25 / len(self._layers) or self._layers[node].work < WORTH_SERVING:
                    return harm, rules
                tried = {**rules, **dict.fromkeys(some, rule)}
                if tried != rules and self._may_serve() and (less := self._alone(node, tried)) < harm:
                    harm, rules = less, tried
        return harm, rules

    def _plain(self, node: str) -> Rules:
        return dict.fromkeys(self._placer.tensors([node]).values(), RULES[0])

    def _may_serve(self) -> bool:
        return self._runs < FOR_RANGES * self._most

    def _progress(self, what: str, number: int) -> None:
        """Says how far it is, at every quarter."""
        count = len(self._layers)
        if any(number == math.ceil(count * quarter / 4) for quarter in range(1, 5)):
            self._say(f"{number} of {count} layers {what} (run {self._runs} of {self._most} at most)")

    def _alone(self, node: str, rules: Rules) -> float:
        ranges = {tensor: self._ends(tensor, rule) for tensor, rule in rules.items()}
        return self._harm([node], ranges, first=ALONE_ON)

    def _made(self, chosen: Collection[str]) -> Plan:
        tensors = self._placer.tensors(chosen).values()
        ranges = {tensor: self._ends(tensor, self._rules.get(tensor, RULES[0])) for tensor in tensors}
        return Plan(tuple(chosen), ranges, self._harm(chosen, ranges))

    def _ends(self, tensor: str, rule: Rule) -> Ends:
        key = (tensor, rule)
        if key not in self._known:
            self._known[key] = self._spreads[tensor].range(rule, symmetric=self._placer.form == "tensorrt")
        return self._known[key]

    def _harm(self, chosen: Collection[str], ranges: Mapping[str, Ends], *, first: int | None = None) -> float:
        self._runs += first or self._judge.samples
        errors = self._judge.errors(self._probe.tried(chosen, ranges), first=first)
        return max(error / 10 ** (-(self._limit.of(name) + MARGIN_DB) / 10) for name, error in errors.items())


def _beside(plan: Plan) -> str:
    """How a plan stands to the limit."""
    if not plan.harm < math.inf:
        return "values that are no numbers"
    away_db = -10 * math.log10(max(plan.harm, 1e-12))
    return f"{abs(away_db):.1f} dB {'better' if away_db >= 0 else 'worse'} than the plan must be"
