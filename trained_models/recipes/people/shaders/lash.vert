#version 330
uniform mat4 VP;
in vec3 pos;
in vec2 uv;
out vec2 UV;

void main() {
  gl_Position = VP * vec4(pos, 1);
  gl_Position.z -= .0006 * gl_Position.w;  // in front of the lid that it grows from
  UV = uv;
}
