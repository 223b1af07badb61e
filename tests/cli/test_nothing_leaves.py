"""Nothing is reported to anybody: no connection, no look-up, no file but our own and what was asked for."""

import json
from pathlib import Path
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from watching import Seen, Watch

from realtime.models.library import built_in_folder

CLIP = built_in_folder() / "clips" / "driving.mp4"
MASQUERADE = ("-m", "realtime.cli.app")
OWN = (".local/share/masquerade/", ".cache/masquerade/", "Library/Application Support/masquerade/")


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def silent(seen: Seen, code: int = 0) -> Seen:
    assert seen.code == code, seen.err
    assert not seen.wrong
    assert not [file for file in seen.home if not file.startswith(OWN)]
    return seen


def test_the_watch_sees_what_leaves(watch: Watch) -> None:
    """A test that can fail: a look-up, a connection to a documentation address and a stray file."""
    code = (
        "import socket, pathlib; pathlib.Path.home().joinpath('.stray').write_text('x')\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9)); s.close()\n"
        "try: socket.getaddrinfo('masquerade.invalid', 80)\n"
        "except OSError: pass"
    )
    seen = watch.run("-c", code)
    assert seen.home == [".stray"]
    for word in ("192.0.2.1", "masquerade.invalid"):
        assert any(word in line for line in seen.wrong)


@pytest.mark.parametrize(
    "code",
    [
        "import realtime, onnxruntime",
        "import benchmarks.backends",
        pytest.param("import export.checkpoint_to_bundle", marks=pytest.mark.slow),
        pytest.param("import trained_models.learn.learner", marks=pytest.mark.slow),
    ],
)
def test_importing_a_package_reports_nothing(watch: Watch, code: str) -> None:
    ran = f"{code}\nimport os, onnxruntime; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert silent(watch.run("-c", ran)).out.split()[-1] == "1"


@pytest.mark.slow
def test_a_run_and_a_render_job_write_what_they_were_asked_for(watch: Watch) -> None:
    run = ("run", "--source", CLIP, "--seconds", "0.5", "--model", "ada", "--output", "o.mp4", "--metrics", "m.json")
    assert silent(watch.run(*MASQUERADE, *run)).home == []
    options = {"source": str(CLIP), "seconds": 0.5, "model": "ada", "output": ["job.mkv"], "pace": "all"}
    assert silent(watch.run("-m", "realtime.pipeline.render_process", json.dumps(options))).home == []
    assert sorted(path.name for path in watch.here.iterdir()) == ["job.mkv", "m.json", "o.mp4"]


@pytest.mark.slow
def test_an_export_and_a_model_that_is_added(watch: Watch) -> None:
    pytest.importorskip("torch", reason="the export needs the extra `export`")
    from deepfacelab_models import write_smallest

    model = write_smallest(watch.here / "model", "df")
    out = ("--family", "deepfacelab", "--out", "eve", "--format", "dfm")
    silent(watch.run(*MASQUERADE, "export", model, *out))
    said = ("--identity", "self", "--statement", "Me.", "--name", "eve")
    file = next(watch.here.glob("eve/*.dfm"))
    added = silent(watch.run(*MASQUERADE, "models", "add", file, *said))
    assert [Path(file).name for file in added.home] == ["eve.dfm", "model.toml"]


@pytest.mark.slow
def test_a_page_that_is_looked_at(watch: Watch) -> None:
    with watch.start(*MASQUERADE, "run", "--source", CLIP, "--loop", "--model", "ada", "--output", "page") as process:
        try:
            assert process.stdout is not None
            address = next(line for line in process.stdout if line.startswith("page: ")).removeprefix("page: ").strip()
            with build_opener(HTTPCookieProcessor()).open(address, timeout=60) as page:
                assert page.status == 200
            watch.interrupt(process)
            seen = watch.end(process)
        finally:
            process.kill()
    silent(seen, 130)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("latency", "--frames", "10", "--warm-up", "2", "--size", "320x180", "--chart", "c.svg", "--json", "l.json"),
        ("blend", "--frames", "10", "--json", "b.json"),
        ("backends", "ada", "--runs", "5", "--seconds", "1", "--json", "k.json"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_benchmark(watch: Watch, arguments: tuple[str, ...]) -> None:
    claims_nothing = 1 if arguments[0] == "latency" else 0  # ten frames are too few
    silent(watch.run(*MASQUERADE, "bench", *arguments), claims_nothing)
