"""Frame numbers in the picture: drawn before it is handed over, read again where somebody looks at it."""

import numpy as np

from realtime.frame import Pixels

BITS = 16
COLUMNS = 40
"""A square's side is this part of the picture's width: 32 pixels of 1280, four blocks of a JPEG."""

DARK, BRIGHT = 16, 235


def draw_number(pixels: Pixels, number: int) -> None:
    """The number's lowest BITS bits as squares in the lower left corner, and beneath them their opposites.

    In place. The second row tells a number from whatever else a picture may show there.
    """
    height, width = pixels.shape[:2]
    side = width // COLUMNS
    bits = (number >> np.arange(BITS)) & 1
    row = np.repeat(np.where(bits, BRIGHT, DARK).astype(np.uint8), side)
    pixels[height - 2 * side : height - side, : BITS * side] = row[None, :, None]
    pixels[height - side :, : BITS * side] = (DARK + BRIGHT - row)[None, :, None]


READ = f"""
(() => {{
  window.seenNumbers = [];
  const canvas = document.getElementById("picture");
  const pen = canvas.getContext("2d");
  let last = -1;
  const look = () => {{
    const side = Math.floor(canvas.width / {COLUMNS});
    const {{ data }} = pen.getImageData(0, canvas.height - 2 * side, {BITS} * side, 2 * side);
    const middle = (place) => Math.floor((place + 0.5) * side);
    const level = (column, row) => data[4 * (middle(row) * {BITS} * side + middle(column))];
    let number = 0;
    for (let bit = 0; bit < {BITS}; bit += 1) {{
      const [upper, lower] = [level(bit, 0), level(bit, 1)];
      if (Math.abs(upper - lower) < 100) number = -1;
      if (number >= 0 && upper > lower) number += 2 ** bit;
    }}
    if (number >= 0 && number !== last) {{
      last = number;
      window.seenNumbers.push([number, performance.timeOrigin + performance.now()]);
    }}
    requestAnimationFrame(look);
  }};
  requestAnimationFrame(look);
}})()
"""
"""Notes in the page, with every picture that its screen would show, which number is in the canvas, and when."""
