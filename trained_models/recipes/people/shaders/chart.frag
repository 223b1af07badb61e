#version 330
in vec3 a;
in vec3 b;
layout(location = 0) out vec4 o;
layout(location = 1) out vec4 q;

void main() {
  o = vec4(a, 1);
  q = vec4(b, 1);
}
