#version 330
#include "light.frag.glsl"
in vec3 P;
in vec3 N;
in vec2 UV;
in vec4 M;
in vec3 amb;
in vec4 LP;
in float AO;
uniform sampler2D alb;   // square roots of linear colour; gloss
uniform sampler2D bump;  // rg: slope of the relief along u and v, about .5; b: 1 in the face
uniform vec3 base;
uniform vec3 shirtc[2];
uniform float bumpk;
uniform float slopek;
uniform int kind;  // 0 skin, 1 shirt, 2 tongue, 3 teeth and gums, 4 worn
uniform float neck_y;
uniform float pat;

void main() {
  vec3 n = normalize(N), V = normalize(cam - P);
  if (!gl_FrontFacing) n = -n;
  vec3 A;
  float rough = .38, spk = 1., sss = 1., wrap = .35, occ = 1., region = 1.;
  if (kind == 0) {
    // M: x head texture, y inside of the mouth, z eye socket, w occlusion
    vec4 t = texture(alb, UV);
    vec4 h4 = texture(bump, UV);
    A = mix(base, t.rgb * t.rgb, M.x);
    spk = mix(.8, t.a * 2., M.x);
    A = mix(A, vec3(.42, .10, .09), M.y);
    A = mix(A, A * vec3(.8, .42, .38), M.z);
    rough = mix(rough, .25, max(M.y, M.z));
    occ = M.w;
    region = max(max(M.y, M.z), M.x > .5 ? h4.b : 0.);
    if (M.x > .5) {
      // Bump mapping without tangents (Mikkelsen 2010).
      vec2 slope = (h4.rg - .5) * slopek;
      float hx = dot(slope, dFdx(UV)), hy = dot(slope, dFdy(UV));
      vec3 px = dFdx(P), py = dFdy(P);
      vec3 r1 = cross(py, n), r2 = cross(n, px);
      float det = dot(px, r1);
      vec3 g = sign(det) * (hx * r1 + hy * r2) * bumpk;
      vec3 nn = abs(det) * n - g;
      float l = length(nn);
      if (l > 1e-12) n = nn / l;
    }
  } else if (kind == 1) {
    if (P.y > neck_y + 0.55 * P.x * P.x - 0.35 * smoothstep(0., 1.5, P.z)) discard;
    float w = sin(UV.x * 900.) * sin(UV.y * 900.);
    float st = pat > 0. ? smoothstep(-.1, .1, sin(P.y * pat)) : 0.;
    A = mix(shirtc[0], shirtc[1], st) * (1. + .06 * w);
    vec3 q = P * 3.;
    n = normalize(n + .22 * vec3(sin(q.x * 2.1 + q.y * 1.3 + sin(q.y * 2.7)), sin(q.y * 1.7 + q.z * 2. + sin(q.x * 3.1)),
                                 sin(q.z * 1.3 + q.x * 1.9)));
    rough = .8;
    spk = .25;
    sss = 0.;
    wrap = .1;
    region = 0.;
  } else if (kind == 2) {
    A = vec3(.45, .14, .13);
    rough = .28;
    occ = M.w * .8;
    spk = 1.;
    sss = 0.6;
  } else if (kind == 4) {
    if (UV.x < 0.) discard;
    A = M.rgb;
    rough = mix(.75, .22, M.a);
    spk = .15 + 1.6 * M.a;
    sss = 0.;
    region = 0.;
  } else {
    float gum = M.x;
    A = mix(vec3(.70, .63, .52), vec3(.48, .15, .14), gum);
    rough = .16;
    occ = M.w;
    sss = .3;
    spk = .7;
  }
  vec3 d = amb * occ;
  vec3 s = vec3(0);
  float nv = max(dot(n, V), 1e-3);
  float sf = shadowf(LP, .004);
  for (int i = 0; i < 3; i++) {
    vec3 L = Ldir[i];
    float nl = dot(n, L);
    // Light wraps around skin, red the farthest.
    vec3 wr = sss > .5 ? vec3(.36, .16, .10) : vec3(wrap * .4);
    vec3 w = max((nl + wr) / (1. + wr), 0.);
    float f = (i == 0 ? sf : mix(.35, 1., AO)) * occ;
    d += Lcol[i] * w * f;
    if (nl > 0.) {
      vec3 H = normalize(V + L);
      float nh = max(dot(n, H), 0.), vh = max(dot(V, H), 0.);
      float lobes = ggx(nh, nl, nv, vh, rough * rough * 1.7) * .7;
      if (i == 0) lobes += ggx(nh, nl, nv, vh, rough * rough * .8) * .3; else lobes *= 1.5;
      s += Lcol[i] * f * lobes * spk * 1.05;
    }
  }
  vec3 R = reflect(-V, n);
  float fr = .022 + .22 * fifth(1. - nv) * (1. - rough);
  s += envspec(R) * fr * spk * AO * AO * occ;
  o0 = vec4(d, sss);
  o1 = vec4(A, 1.);
  o2 = vec4(s, region);
}
