// Light that falls on a vertex. Spherical harmonics of second order: sh_b in the room's frame, sh_h in the head's.
uniform mat4 VP;
uniform mat4 LVP;
uniform vec3 sh_b[9];
uniform vec3 sh_h[9];
uniform mat3 Rh;

// Irradiance / pi for a normal (Ramamoorthi and Hanrahan 2001).
vec3 shE(vec3 sh[9], vec3 n) {
  return sh[0] * 0.282095
    + 0.6667 * (sh[1] * 0.488603 * n.y + sh[2] * 0.488603 * n.z + sh[3] * 0.488603 * n.x)
    + 0.25 * (sh[4] * 1.092548 * n.x * n.y + sh[5] * 1.092548 * n.y * n.z
      + sh[6] * 0.315392 * (3. * n.z * n.z - 1.) + sh[7] * 1.092548 * n.x * n.z
      + sh[8] * 0.546274 * (n.x * n.x - n.y * n.y));
}

// Precomputed radiance transfer (Sloan et al. 2002): light times baked visibility.
vec3 prt(vec3 sh[9], vec4 a, vec4 b, float c) {
  return sh[0] * a.x + sh[1] * a.y + sh[2] * a.z + sh[3] * a.w
    + sh[4] * b.x + sh[5] * b.y + sh[6] * b.z + sh[7] * b.w + sh[8] * c;
}
