"""
MiniWorld made safe: import this module in place of ``miniworld``, or before it.

* It needs no display: pyglet draws by EGL where ``PYGLET_HEADLESS`` is set before its first import. Where it is
  ``false`` there are windows (``render_mode="human"``).
* Each environment keeps its walls in an OpenGL display list of its own. MiniWorld compiles those of all environments of
  a process into list 1, so that two environments draw each other's walls.
* Closing an environment frees its OpenGL context, buffers and list. MiniWorld never does, about 36 MiB each time.
* Mesa's software renderer draws in the calling thread, about a quarter faster for small pictures and several processes
  side by side, unless ``LP_NUM_THREADS`` is set.
* Textures load in a hundredth of the time. MiniWorld has pyglet convert them by a regular expression.
* Environments in a process that was forked after OpenGL was loaded are refused. They would hang.

This holds for all subclasses of ``MiniWorldEnv`` in the process, of this package or not.
"""

import ctypes
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np

#: Arguments of every MiniWorld environment: by default each has a buffer of 800 × 600 pixels for pictures.
WINDOW = {"window_width": 80, "window_height": 60}
#: What to install on Debian and Ubuntu for OpenGL. Mesa's software renderer comes with it.
PACKAGES = "libegl1 libgl1 libglu1-mesa libfontconfig1"


def import_pyglet() -> tuple[Any, Any]:
    """
    Import pyglet, without a display on Linux. Elsewhere an invisible window needs none.

    :return: The modules ``pyglet.gl`` and ``pyglet.image``
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")
    headless = sys.platform.startswith("linux") and os.environ.setdefault("PYGLET_HEADLESS", "true") == "true"
    import pyglet

    if headless and "pyglet.gl" not in sys.modules:  # pyglet itself may have been imported before
        pyglet.options["headless"] = True
    from pyglet import gl, image

    import_module("pyglet.font")  # else a library that is missing would be noticed by the first environment
    return gl, image


try:
    if find_spec("miniworld") is None:  # looked for first: where OpenGL is missing too, that would be the error
        raise ModuleNotFoundError("No module named 'miniworld'")
    gl, image = import_pyglet()
    from miniworld import miniworld, opengl
except ModuleNotFoundError as error:
    raise ImportError(f"MiniWorld is not installed ({error}). Run: pip install 'sb3-distral[miniworld]'") from error
except Exception as error:  # of many types, according to what is missing
    raise ImportError(
        f"MiniWorld cannot draw: OpenGL does not work here ({error!r}). On Debian and Ubuntu run: "
        f"apt-get install {PACKAGES}"
    ) from error

PROCESS = os.getpid()
ENV = miniworld.MiniWorldEnv
own_init, own_close, own_render_static = ENV.__init__, ENV.close, ENV._render_static
own_render_world = ENV._render_world


def display_list() -> int:
    """
    Find the display list of the current OpenGL context; an environment has one context.

    :return: Its number
    """
    if not hasattr(gl.current_context, "static_world"):
        gl.current_context.static_world = gl.glGenLists(1)
    return int(gl.current_context.static_world)


def check_process() -> None:
    """
    Refuse to draw where it would hang.

    :raises RuntimeError: If this process is a fork of the one that loaded OpenGL
    """
    if os.getpid() != PROCESS:
        raise RuntimeError(
            "A MiniWorld environment was made or used in a process that was forked after OpenGL had been loaded, where "
            "it would hang. Start processes by 'forkserver' or 'spawn'. Where the fork server itself had loaded "
            "OpenGL (it may import the main script), use start_method='spawn'."
        )


class ClosedWindow:
    """What a closed environment has in place of its OpenGL context."""

    def switch_to(self) -> None:
        """
        Refuse to draw.

        :raises RuntimeError: Always
        """
        raise RuntimeError("The MiniWorld environment is closed and cannot draw any more. Make a new one.")


def enter(env: Any) -> None:
    """
    Make an environment's OpenGL context the current one.

    :param env: A MiniWorld environment
    :raises RuntimeError: If it is closed or belongs to another process
    """
    check_process()
    env.shadow_window.switch_to()


def init(env: Any, *args: Any, **kwargs: Any) -> None:
    """
    Make an environment in a process where it can draw.

    :param env: A MiniWorld environment
    :param args: As MiniWorld
    :param kwargs: As MiniWorld
    """
    check_process()
    own_init(env, *args, **kwargs)


def render_static(env: Any) -> None:
    """
    Compile what stands still into the environment's list.

    :param env: A MiniWorld environment
    """
    enter(env)
    own_render_static(env)


def render_world(env: Any, *args: Any, **kwargs: Any) -> Any:
    """
    Draw the world from the environment's own list.

    :param env: A MiniWorld environment; one made before this module was imported may have no list yet
    :param args: As MiniWorld
    :param kwargs: As MiniWorld
    :return: As MiniWorld
    """
    if not hasattr(gl.current_context, "static_world"):
        env._render_static()
    return own_render_world(env, *args, **kwargs)


def close(env: Any) -> None:
    """
    Free everything that OpenGL holds for the environment.

    :param env: A MiniWorld environment, closed or not
    """
    own_close(env)
    if isinstance(env.shadow_window, ClosedWindow) or os.getpid() != PROCESS:
        return
    enter(env)
    for frame_buffer in (env.obs_fb, env.vis_fb):
        for name in (frame_buffer.multi_fbo, frame_buffer.final_fbo):
            delete_frame_buffer(name)
    gl.glDeleteLists(display_list(), 1)
    env.shadow_window.close()
    env.shadow_window = ClosedWindow()


def delete_frame_buffer(name: Any) -> None:
    """
    Delete a frame buffer and what is attached to it.

    :param name: A frame buffer of the current context; MiniWorld does not keep the names of what is attached to it
    """
    gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, name)
    kinds = {gl.GL_TEXTURE: gl.glDeleteTextures, gl.GL_RENDERBUFFER: gl.glDeleteRenderbuffers}
    for attachment in (gl.GL_COLOR_ATTACHMENT0, gl.GL_DEPTH_ATTACHMENT):
        kind, attached = (
            frame_buffer_parameter(attachment, parameter)
            for parameter in (gl.GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE, gl.GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME)
        )
        kinds[kind.value](1, ctypes.byref(gl.GLuint(attached.value)))
    gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, 0)
    gl.glDeleteFramebuffers(1, ctypes.byref(name))


def frame_buffer_parameter(attachment: int, parameter: int) -> Any:
    """
    Ask OpenGL about what is attached to a frame buffer.

    :param attachment: What is attached to the frame buffer that is bound
    :param parameter: What to tell about it
    :return: Its value
    """
    value = gl.GLint()
    gl.glGetFramebufferAttachmentParameteriv(gl.GL_FRAMEBUFFER, attachment, parameter, ctypes.byref(value))
    return value


def load_image(path: str) -> Any:
    """
    Load a texture in the format that MiniWorld asks for next, so that pyglet has nothing to convert.

    :param path: A file
    :return: The picture
    """
    picture = image.load(path)
    if picture.format != "RGB":
        return picture
    width, height = picture.width, picture.height
    rgba = np.full((height, width, 4), 255, dtype=np.uint8)
    rgba[..., :3] = np.frombuffer(picture.get_data("RGB", 3 * width), dtype=np.uint8).reshape(height, width, 3)
    return image.ImageData(width, height, "RGBA", rgba.tobytes(), 4 * width)


ENV.__init__, ENV.close, ENV._render_static, ENV._render_world = init, close, render_static, render_world
opengl.pyglet = SimpleNamespace(image=SimpleNamespace(load=load_image))
# The list's number is 1 at each of MiniWorld's calls.
miniworld.glNewList = lambda number, mode: gl.glNewList(display_list(), mode)
miniworld.glCallList = lambda number: gl.glCallList(display_list())
miniworld.glDeleteLists = lambda number, count: gl.glDeleteLists(display_list(), count)
# It prints a line about samples for each environment.
opengl.print = lambda *args: None
