#version 330
#include "light.frag.glsl"
in vec3 P;
in vec3 T;
in vec4 prmf;
in float AO;
in vec4 LP;
in vec3 NS;
uniform vec3 hc[2];
uniform float spec;

// Strands after Kajiya and Kay 1989, with the head's round as a second normal.
void main() {
  vec3 V = normalize(cam - P), t = normalize(T), ns = normalize(NS);
  float rd = prmf.w;
  vec3 A = mix(hc[0], hc[1], clamp(rd * .6 + prmf.z * .4, 0., 1.)) * (.75 + .5 * fract(rd * 17.31));
  vec3 E = max(sh_b[0] * .282095 + .6 * (sh_b[1] * .488603 * ns.y + sh_b[2] * .488603 * ns.z + sh_b[3] * .488603 * ns.x), .02);
  vec3 d = E * AO;
  vec3 s = vec3(0);
  float sf = shadowf(LP, .02);
  for (int i = 0; i < 3; i++) {
    vec3 L = Ldir[i];
    float tl = dot(t, L), tv = dot(t, V);
    float st = sqrt(max(0., 1. - tl * tl)), sv = sqrt(max(0., 1. - tv * tv));
    float f = (i == 0 ? sf : 1.) * AO * smoothstep(-.35, .45, dot(ns, L));
    d += Lcol[i] * (.28 + .5 * st) * f * .8;
    float k = max(0., -tl * tv + st * sv);
    float sh = .06 * (fract(rd * 7.77) - .5);
    s += Lcol[i] * f * spec * (.10 * pow(max(0., k + sh), 60.) + .30 * A * pow(max(0., k - .08 + sh), 14.));
  }
  o0 = vec4(vec3(1), 0.);
  o1 = vec4(d * A + s, 1.);
  o2 = vec4(0, 0, 0, 0);
}
