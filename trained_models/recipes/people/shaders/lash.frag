#version 330
in vec2 UV;
uniform sampler2D lash;
uniform vec3 lc;
uniform float la;
layout(location = 0) out vec4 o0;
layout(location = 1) out vec4 o1;
layout(location = 2) out vec4 o2;

void main() {
  float a = texture(lash, UV).r * la;
  if (a < .02) discard;
  o0 = vec4(1, 1, 1, a);
  o1 = vec4(lc, a);
  o2 = vec4(0, 0, 0, a);
}
