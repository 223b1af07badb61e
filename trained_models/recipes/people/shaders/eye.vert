#version 330
#include "light.vert.glsl"
in vec3 dir;
in vec4 ta;
in vec4 tb;
in float tc;
uniform vec3 ec;
uniform float er;
uniform mat3 Re;
uniform mat3 RH;
uniform vec3 tH;
uniform float iris_r;
out vec3 P;
out vec3 Q;
out vec3 N;
out vec3 amb;
out vec4 LP;
out float AO;
out vec3 D;

void main() {
  vec3 q = transpose(Re) * dir;  // the direction as the turned eyeball sees it
  float rr = length(q.xy);
  // The cornea bulges over the iris.
  float c = q.z > 0. ? 1. + .10 * pow(max(0., 1. - pow(rr / (iris_r * 1.25), 2.)), 1.) : 1.;
  vec3 p = RH * (ec + dir * er * c * .995) + tH;
  P = p;
  Q = q;
  D = dir;
  N = RH * (Re * normalize(q));
  gl_Position = VP * vec4(p, 1);
  LP = LVP * vec4(p, 1);
  vec3 e0 = max(shE(sh_h, dir), .02);
  vec3 r = clamp(prt(sh_h, ta, tb, tc) / e0, 0.02, 1.1);
  AO = clamp(dot(r, vec3(.333)), 0., 1.);
  amb = max(shE(sh_b, N), 0.) * r;
}
