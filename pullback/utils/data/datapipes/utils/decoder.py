"""Decoders: functions of a file's extension and its bytes, which return None for what they do not know."""

from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.face.absent import getter
from pullback.utils.data.datapipes.utils.common import StreamWrapper

__all__ = [
    "Decoder",
    "ImageHandler",
    "MatHandler",
    "audiohandler",
    "basichandlers",
    "extension_extract_fn",
    "handle_extension",
    "imagehandler",
    "mathandler",
    "videohandler",
]

TEXT, NUMBER = {"txt", "text", "transcript"}, {"cls", "cls2", "class", "count", "index", "id"}


def basichandlers(extension: str, data: Any) -> Any:
    """Texts, whole numbers, JSON, pickles and saved tensors, by their extension."""
    if extension in TEXT:
        return data.decode("utf-8")
    if extension in NUMBER:
        try:
            return int(data)
        except ValueError:
            return None
    if extension in ("json", "jsn"):
        return json.loads(data)
    if extension in ("pyd", "pickle"):
        return pickle.loads(data)
    if extension == "pt":
        serialization = importlib.import_module("pullback.serialization")  # it stands above
        return serialization.load(io.BytesIO(data))
    return None


def handle_extension(extensions: str, f: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    """A decoder by `f` for keys that end in one of some extensions, parted by spaces: `"jpg seg.png"`."""
    endings = [ending.split(".") for ending in extensions.lower().split()]

    def handler(key: str, data: Any) -> Any:
        words = key.lower().split(".")
        if any(words[-len(ending) :] == ending for ending in endings if len(ending) <= len(words)):
            return f(data)
        return None

    return handler


imagespecs = {
    **{kind: ("numpy", "uint8", kind[:-1]) for kind in ("l8", "rgb8", "rgba8")},
    **{kind: ("numpy", "float", kind) for kind in ("l", "rgb", "rgba")},
    **{f"torch{kind}8": ("torch", "uint8", kind) for kind in ("l", "rgb", "rgba")},
    **{f"torch{kind}": ("torch", "float", kind or "rgb") for kind in ("l", "rgb", "", "rgba")},
    **{f"pil{kind}": ("pil", None, kind or "rgb") for kind in ("l", "", "rgb", "rgba")},
}


class ImageHandler:
    """Images by Pillow, as it has them, as NumPy arrays or as tensors: see `imagespecs`."""

    def __init__(self, imagespec: str) -> None:
        if imagespec not in imagespecs:
            raise AssertionError(f"unknown image specification: {imagespec}")
        self.imagespec = imagespec.lower()

    def __call__(self, extension: str, data: Any) -> Any:
        if extension.lower() not in {"jpg", "jpeg", "png", "ppm", "pgm", "pbm", "pnm"}:
            return None
        try:
            from PIL import Image
        except ImportError as error:
            raise ModuleNotFoundError(
                "Package `PIL` is required to be installed for default image decoder.Please use `pip install "
                "Pillow` to install the package"
            ) from error
        form, kind, mode = imagespecs[self.imagespec]
        with io.BytesIO(data) as stream:
            image: Any = Image.open(stream)
            image.load()
            image = image.convert(mode.upper())
        if form == "pil":
            return image
        pixels = np.asarray(image)
        if kind == "float":
            pixels = pixels.astype(np.float32) / 255.0
        if form == "numpy":
            return pixels
        return ops.tensor(pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels)


def imagehandler(imagespec: str) -> ImageHandler:
    """The decoder of images for a specification."""
    return ImageHandler(imagespec)


def _from_file(extension: str, data: Any, read: Callable[[str], Any]) -> Any:
    """What a function reads from a file with these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"file.{extension}")
        with open(path, "wb") as stream:
            stream.write(data)
        return read(path)


def videohandler(extension: str, data: Any) -> Any:
    """Videos by torchvision."""
    if extension not in ("mp4", "ogv", "mjpeg", "avi", "mov", "h264", "mpg", "webm", "wmv"):
        return None
    try:
        io_of_videos = importlib.import_module("torchvision.io")
    except ImportError as error:
        raise ModuleNotFoundError(
            "Package `torchvision` is required to be installed for default video file loader."
        ) from error
    return _from_file(extension, data, io_of_videos.read_video)


def audiohandler(extension: str, data: Any) -> Any:
    """Sounds by torchaudio."""
    if extension not in ("flac", "mp3", "sox", "wav", "m4a", "ogg", "wma"):
        return None
    try:
        torchaudio = importlib.import_module("torchaudio")
    except ImportError as error:
        raise ModuleNotFoundError(
            "Package `torchaudio` is required to be installed for default audio file loader."
        ) from error
    return _from_file(extension, data, torchaudio.load)


class MatHandler:
    """MATLAB's files by SciPy."""

    def __init__(self, **loadmat_kwargs: Any) -> None:
        self.loadmat_kwargs = loadmat_kwargs

    def __call__(self, extension: str, data: Any) -> Any:
        from scipy.io import loadmat

        return loadmat(io.BytesIO(data), **self.loadmat_kwargs) if extension == "mat" else None


def mathandler(**loadmat_kwargs: Any) -> MatHandler:
    """The decoder of MATLAB's files; the options are those of `scipy.io.loadmat`."""
    return MatHandler(**loadmat_kwargs)


def extension_extract_fn(pathname: str) -> str:
    """The extension of a path, without the dot."""
    return os.path.splitext(pathname)[1].removeprefix(".")


class Decoder:
    """Decodes the values of a dict, or the second of a pair, by the first handler that knows the key."""

    def __init__(
        self, *handler: Callable[..., Any], key_fn: Callable[[str], str] = extension_extract_fn
    ) -> None:
        self.handlers = list(handler)
        self.key_fn = key_fn

    def add_handler(self, *handler: Callable[..., Any] | None) -> None:
        """Adds handlers behind the others."""
        self.handlers += [one for one in handler if one]

    @staticmethod
    def _is_stream_handle(data: Any) -> bool:
        return isinstance(
            data.file_obj if isinstance(data, StreamWrapper) else data, (io.BufferedIOBase, io.RawIOBase)
        )

    def decode1(self, key: str, data: Any) -> Any:
        """One value by its key: what it was if no handler knows it."""
        for handler in self.handlers:
            result = handler(key, data)
            if result is not None:
                return result
        return data

    def decode(self, data: Any) -> dict[str, Any]:
        """The values of a dict, or of pairs, by their keys."""
        result: dict[str, Any] = {}
        for key, value in data.items() if isinstance(data, dict) else data:
            if key.startswith("__"):
                result[key] = value.decode("utf-8") if isinstance(value, bytes) else value
                continue
            if self._is_stream_handle(value):
                stream, value = value, value.read()
                stream.close()
            result[key] = self.decode1(self.key_fn(key), value)
        return result

    def __call__(self, data: Any) -> dict[str, Any]:
        return self.decode(data)


__getattr__ = getter(__name__)
