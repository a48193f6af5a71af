"""Draws font.pgm: the characters from space to tilde, 15 x 29 pixels each, one beside the other. Needs Pillow and DejaVu.

    python3 font.py [/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf]
"""

import pathlib
import sys

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, SIZE = 15, 29, 25
CHARACTERS = "".join(map(chr, range(32, 127)))

path = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"
font = ImageFont.truetype(path, SIZE)
image = Image.new("L", (WIDTH * len(CHARACTERS), HEIGHT), 255)
draw = ImageDraw.Draw(image)
for index, character in enumerate(CHARACTERS):
    draw.text((index * WIDTH, 0), character, font=font, fill=0)
image.save(pathlib.Path(__file__).with_name("font.pgm"))
