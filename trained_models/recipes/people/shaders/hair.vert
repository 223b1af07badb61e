#version 330
#include "light.vert.glsl"
in vec3 pos;
in vec3 tan;
in vec4 prm;  // side -1 or 1, half width, place along the lock, random
in vec3 aw;   // occlusion, how much the head carries it along, how densely it grows
uniform mat3 RH;
uniform vec3 tH;
uniform mat3 RB;
uniform vec3 tB;
uniform vec3 camv;
uniform float wmul;
uniform vec3 nrmc;
uniform vec3 hc[2];
uniform float spec;
uniform vec3 cam;
uniform vec3 Ldir[3];
uniform vec3 Lcol[3];
uniform sampler2D shadow;
out vec3 diffuse;
out vec3 gleam;
out vec4 lock;  // side, place along, random, density

float lit(vec4 lp) {
  vec3 p = lp.xyz * .5 + .5;
  if (any(lessThan(p, vec3(0))) || any(greaterThan(p, vec3(1)))) return 1.;
  float s = 0.;
  for (int i = 0; i < 4; i++)
    s += texture(shadow, p.xy + vec2(i & 1, i >> 1) * .012 - .006).r < p.z - .02 ? 0. : .25;
  return s;
}

// Strands after Kajiya and Kay 1989, with the head's round as a second normal. Lit here: a lock spans few pixels.
void main() {
  vec3 p = mix(RB * pos + tB, RH * pos + tH, aw.y);
  vec3 t = normalize(RH * tan);
  vec3 sd = cross(t, camv - p);  // the ribbon turns its width to the camera
  float l = length(sd);
  sd = l > 1e-5 ? sd / l : vec3(1, 0, 0);
  vec3 P = p + sd * prm.x * prm.y * wmul;
  gl_Position = PROJECTION * vec4(P, 1);
  lock = vec4(prm.x, prm.z, prm.w, aw.z);
#ifdef LIT
  vec3 V = normalize(cam - p), ns = normalize(RH * (pos - nrmc));
  vec3 A = mix(hc[0], hc[1], clamp(prm.w * .6 + prm.z * .4, 0., 1.));
  vec3 d = max(sh_b[0] * .282095 + .6 * (sh_b[1] * .488603 * ns.y + sh_b[2] * .488603 * ns.z + sh_b[3] * .488603 * ns.x), .02) * aw.x;
  vec3 s = vec3(0);
  float open = lit(LVP * vec4(p, 1));
  // The two flanks of a lock lean apart.
  vec3 tt = normalize(t + .12 * ns * prm.x);
  float tv = dot(tt, V), sv = sqrt(max(0., 1. - tv * tv));
  for (int i = 0; i < 3; i++) {
    float tl = dot(tt, Ldir[i]), st = sqrt(max(0., 1. - tl * tl));
    float f = (i == 0 ? open : 1.) * aw.x * smoothstep(-.35, .45, dot(ns, Ldir[i]));
    d += Lcol[i] * (.28 + .5 * st) * f * .8;
    float k = max(0., -tl * tv + st * sv);
    s += Lcol[i] * f * spec * (.07 * pow(k, 40.) + .30 * A * pow(max(0., k - .05), 12.));
  }
  diffuse = d * A;
  gleam = s;
#endif
}
