"""Makes the music inside the package: four chords of soft sines that can be played round and round.

python benchmarks/pad_music.py flowsynth/assets/sounds/pad.ogg
"""

from __future__ import annotations

import sys
from typing import Any

import av
import numpy as np

RATE, BAR = 48_000, 4.0
#: A minor 7, F major 7, C major 7, G 6, as steps above A of 110 Hz.
CHORDS = ((0, 7, 15, 22), (-4, 8, 15, 24), (3, 10, 19, 26), (-2, 10, 17, 24))


def pad() -> np.ndarray[Any, Any]:
    """(2, samples) float32: each chord swells while the one before fades; the last into the first."""
    length = round(RATE * BAR * len(CHORDS))
    sound = np.zeros((2, length))
    seconds = np.arange(round(RATE * BAR * 1.5)) / RATE
    swell = np.sin(np.pi * seconds / seconds[-1]) ** 1.5
    for number, chord in enumerate(CHORDS):
        places = (np.arange(len(seconds)) + round(RATE * BAR * number)) % length
        for voice, step in enumerate(chord):
            for part, (times, loud) in enumerate(((1.0, 1.0), (2.0, 0.28), (3.0, 0.1))):
                hertz = 110 * 2 ** (step / 12) * times
                for side, off in enumerate((-0.0011, 0.0011)):  # a little out of tune from side to side
                    turned = 2 * np.pi * hertz * (1 + off) * seconds + voice + 2 * part + side
                    sound[side, places] += swell * loud * np.sin(turned) / (1 + 0.6 * voice)
    return np.asarray(0.5 * sound / np.abs(sound).max(), np.float32)


def main() -> None:
    """Write it as Opus."""
    with av.open(sys.argv[1], "w", format="ogg") as file:
        stream = file.add_stream("libopus", rate=RATE, layout="stereo", bit_rate=56_000)
        sound = pad()
        for first in range(0, sound.shape[1], 960):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound[:, first : first + 960]), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts = RATE, first
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


if __name__ == "__main__":
    main()
