#version 330
in vec3 diffuse;
in vec3 gleam;
in vec4 lock;  // side, place along, random, density
uniform float strands;
layout(location = 0) out vec4 o0;
layout(location = 1) out vec4 o1;
layout(location = 2) out vec4 o2;

float hash(vec2 p) { return fract(sin(dot(p, vec2(41.31, 289.17))) * 9731.713); }

// A lock is a ribbon; its strands are cut out of it here: each has its own ends, width and shade.
void main() {
  float s = (lock.x * .5 + .5) * strands;
  float id = floor(s), f = abs(fract(s) - .5);
  float lot = hash(vec2(id, floor(lock.z * 4096.))), other = fract(lot * 57.31);
  float end = mix(.62, 1., sqrt(other)), start = .16 * fract(lot * 13.7) * (1. - lock.w);
  float width = .62 * (1. - pow(clamp(lock.y / end, 0., 1.), 3.) * .75);
  if (lock.y > end || lock.y < start || f > width || lot > lock.w) discard;
  float shade = mix(.62, 1.22, fract(lot * 31.7)) * (1. - .35 * f);
  o0 = vec4(1., 1., 1., 0.);
  o1 = vec4(diffuse * shade + gleam * mix(.35, 1.6, other), 1.);
  o2 = vec4(0.);
}
