// Direct light: three lamps, the first with a shadow map; a soft reflection of the room.
uniform vec3 cam;
uniform vec3 Ldir[3];
uniform vec3 Lcol[3];
uniform sampler2D shadow;
uniform float shadow_soft;
uniform vec3 sh_b[9];

float rnd(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }

// Share of the first lamp that arrives: eight samples on a spiral, turned by a random angle per pixel.
float shadowf(vec4 lp, float bias) {
  vec3 p = lp.xyz * 0.5 + 0.5;
  if (any(lessThan(p, vec3(0))) || any(greaterThan(p, vec3(1)))) return 1.;
  float s = 0.;
  float a = rnd(gl_FragCoord.xy) * 6.283;
  vec2 r = vec2(cos(a), sin(a));
  for (int i = 0; i < 8; i++) {
    float t = (float(i) + .5) / 8.;
    float an = float(i) * 2.399963;
    vec2 o = vec2(cos(an), sin(an)) * sqrt(t) * shadow_soft;
    o = vec2(o.x * r.x - o.y * r.y, o.x * r.y + o.y * r.x);
    s += (texture(shadow, p.xy + o).r < p.z - bias) ? 0. : 1.;
  }
  return s / 8.;
}

// Microfacet gloss (GGX, Walter et al. 2007).
float ggx(vec3 N, vec3 V, vec3 L, float a) {
  vec3 H = normalize(V + L);
  float nh = max(dot(N, H), 0.), nl = max(dot(N, L), 0.), nv = max(dot(N, V), 1e-3), vh = max(dot(V, H), 0.);
  float a2 = a * a;
  float d = nh * nh * (a2 - 1.) + 1.;
  float D = a2 / (3.14159 * d * d);
  float k = a * .5;
  float G = nl / (nl * (1. - k) + k) * nv / (nv * (1. - k) + k);
  float F = .03 + .97 * pow(1. - vh, 5.);
  return D * F * G / max(4. * nv, 1e-3);
}

vec3 envspec(vec3 r) {
  return max(vec3(0), sh_b[0] * 0.282095 + 0.9 * (sh_b[1] * 0.488603 * r.y + sh_b[2] * 0.488603 * r.z + sh_b[3] * 0.488603 * r.x));
}

// What every material writes. o0: diffuse light, share that spreads under the skin; o1: colour, coverage;
// o2: gloss, and 1 where the face is (for masks).
layout(location = 0) out vec4 o0;
layout(location = 1) out vec4 o1;
layout(location = 2) out vec4 o2;
