#version 330
#include "light.vert.glsl"
in vec3 pos;
in vec3 tan;
in vec4 prm;  // side -1 or 1, half width, place along the strand, random
in vec2 aw;   // occlusion, how much the head carries it along
uniform mat3 RH;
uniform vec3 tH;
uniform mat3 RB;
uniform vec3 tB;
uniform vec3 camv;
uniform float wmul;
uniform vec3 nrmc;
out vec3 P;
out vec3 T;
out vec4 prmf;
out float AO;
out vec4 LP;
out vec3 NS;

void main() {
  vec3 p = mix(RB * pos + tB, RH * pos + tH, aw.y);
  vec3 t = normalize(RH * tan);
  vec3 sd = cross(t, camv - p);  // the ribbon turns its width to the camera
  float l = length(sd);
  sd = l > 1e-5 ? sd / l : vec3(1, 0, 0);
  P = p + sd * prm.x * prm.y * wmul;
  T = t;
  prmf = prm;
  AO = aw.x;
  NS = normalize(RH * (pos - nrmc));
  gl_Position = PROJECTION * vec4(P, 1);
  LP = LVP * vec4(P, 1);
}
