// Direct light: three lamps, the first with a shadow map; a soft reflection of the room.
uniform vec3 cam;
uniform vec3 Ldir[3];
uniform vec3 Lcol[3];
uniform sampler2D shadow;
uniform float shadow_soft;
uniform vec3 sh_b[9];

// Share of the first lamp that arrives: five samples on a spiral, turned by another angle in each pixel.
const vec2 SPIRAL[5] = vec2[](vec2(.316, 0.), vec2(-.404, .370), vec2(.062, -.704), vec2(.509, .664), vec2(-.934, -.165));
float shadowf(vec4 lp, float bias) {
  vec3 p = lp.xyz * 0.5 + 0.5;
  if (any(lessThan(p, vec3(0))) || any(greaterThan(p, vec3(1)))) return 1.;
  float s = 0.;
  float a = fract(52.9829 * fract(dot(gl_FragCoord.xy, vec2(.06711, .00584)))) * 6.283;
  vec2 r = vec2(cos(a), sin(a)) * shadow_soft;
  for (int i = 0; i < 5; i++) {
    vec2 o = SPIRAL[i];
    o = vec2(o.x * r.x - o.y * r.y, o.x * r.y + o.y * r.x);
    s += (texture(shadow, p.xy + o).r < p.z - bias) ? 0. : .2;
  }
  return s;
}

float fifth(float x) { float y = x * x; return y * y * x; }

// Microfacet gloss (GGX, Walter et al. 2007).
float ggx(float nh, float nl, float nv, float vh, float a) {
  float a2 = a * a;
  float d = nh * nh * (a2 - 1.) + 1.;
  float k = a * .5;
  float G = nl / ((nl * (1. - k) + k) * (nv * (1. - k) + k));
  return a2 / (3.14159 * d * d) * (.03 + .97 * fifth(1. - vh)) * G * .25;
}

vec3 envspec(vec3 r) {
  return max(vec3(0), sh_b[0] * 0.282095 + 0.9 * (sh_b[1] * 0.488603 * r.y + sh_b[2] * 0.488603 * r.z + sh_b[3] * 0.488603 * r.x));
}

// What every material writes. o0: diffuse light, share that spreads under the skin; o1: colour, coverage;
// o2: gloss, and 1 where the face is (for masks).
layout(location = 0) out vec4 o0;
layout(location = 1) out vec4 o1;
layout(location = 2) out vec4 o2;
