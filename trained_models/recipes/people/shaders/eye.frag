#version 330
#include "light.frag.glsl"
in vec3 P;
in vec3 Q;
in vec3 N;
in vec3 amb;
in vec4 LP;
in float AO;
in vec3 D;
uniform vec3 irisc[2];
uniform float iris_r;
uniform float pupil;
uniform sampler2D eyetex;  // r: iris fibres over (angle, radius), g: veins
uniform mat3 Re;
uniform mat3 RH;
uniform vec3 scl;
uniform float lidtop;

void main() {
  vec3 V = normalize(cam - P);
  vec3 q = normalize(Q);
  vec3 vq = transpose(Re) * (transpose(RH) * V);
  vec2 e = q.xy;
  if (q.z > 0.) e -= vq.xy * .10 * smoothstep(iris_r, 0., length(e));  // the iris lies behind the cornea: parallax
  float r = length(e) / iris_r;
  float a = atan(e.y, e.x) / 6.28318 + .5;
  vec4 t = texture(eyetex, vec2(a, clamp(r * .5, 0., 1.)));
  vec3 ir = mix(irisc[1], irisc[0], smoothstep(.35, .95, r + .35 * (t.r - .5))) * (.55 + .9 * t.r);
  ir *= mix(1.25, .35, smoothstep(.72, 1.02, r));
  ir *= smoothstep(pupil - .06, pupil + .06, r);
  float side = smoothstep(.35, 1., abs(q.x));
  vec3 sc = scl * mix(vec3(1), vec3(1., .78, .74), .55 * side + .35 * t.g * smoothstep(1., 2.2, r));
  sc *= mix(1., .86, smoothstep(1.5, 1., r));
  vec3 A = q.z > 0. ? mix(ir, sc, smoothstep(.93, 1.08, r)) : sc * .6;
  vec3 n = normalize(N);
  float lid = mix(.45, 1., smoothstep(lidtop, lidtop - .42, D.y)) * mix(.75, 1., smoothstep(-.55, -.25, D.y));
  vec3 d = amb * lid;
  vec3 s = vec3(0);
  float sf = mix(shadowf(LP, .006), 1., .25);
  vec3 nc = normalize(RH * (Re * normalize(vec3(q.xy * (r < 1.15 && q.z > 0. ? 1.75 : 1.), q.z))));
  for (int i = 0; i < 3; i++) {
    vec3 L = Ldir[i];
    float f = (i == 0 ? sf : AO) * lid;
    d += Lcol[i] * max((dot(n, L) + .25) / 1.25, 0.) * f;
    float sp = max(dot(reflect(-V, nc), L), 0.);
    s += Lcol[i] * f * (smoothstep(.972, .990, sp) * .55 + .05 * pow(sp, 40.));
  }
  float fr = .03 + .5 * fifth(1. - max(dot(nc, V), 0.));
  s += envspec(reflect(-V, nc)) * fr * AO * lid;
  o0 = vec4(d, .25);
  o1 = vec4(A, 1);
  o2 = vec4(s, 1);
}
