#version 330
#include "light.vert.glsl"
in vec3 pos;
in vec3 nrm;
in vec3 nrm0;
in vec2 uv;
in vec4 mat;
in vec4 ta;
in vec4 tb;
in float tc;
in float hw;
out vec3 P;
out vec3 N;
out vec2 UV;
out vec4 M;
out vec3 amb;
out vec4 LP;
out float AO;

void main() {
  gl_Position = VP * vec4(pos, 1);
  P = pos;
  N = nrm;
  UV = uv;
  M = mat;
  LP = LVP * vec4(pos + nrm * 0.02, 1);
  // Visibility was baked at rest: its share of the unshadowed light is kept and applied to the turned normal.
  vec3 e0h = max(shE(sh_h, nrm0), 0.02), e0b = max(shE(sh_b, nrm0), 0.02);
  vec3 rh = prt(sh_h, ta, tb, tc) / e0h, rb = prt(sh_b, ta, tb, tc) / e0b;
  vec3 ratio = clamp(mix(rb, rh, hw), 0.02, 1.1);
  // Plain occlusion mixed in: second order alone rings, a bright band under the chin.
  float ao0 = clamp(ta.x / .282095, 0., 1.);
  ratio = min(mix(ratio, vec3(ao0), .35), vec3(ao0 * 1.7));
  ratio = pow(ratio, vec3(1.2));
  ratio = ratio * .93 + .07;
  amb = max(shE(sh_b, nrm), 0.0) * ratio;
  AO = ao0;
}
