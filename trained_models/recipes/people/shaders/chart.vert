#version 330
in vec2 uv;
in vec3 p;
in vec3 n;
out vec3 a;
out vec3 b;

void main() {
  a = p;
  b = n;
  gl_Position = vec4(uv * 2. - 1., 0, 1);
}
