"""The cipher of secured links, compiled for this machine.

Truth: the test vectors of RFC 8439, and the PyPI package ``cryptography`` (OpenSSL). The files are those of
release 4.0.3: the SHA-256 is that of the PyPI package ``pymonocypher`` 4.0.3.4.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compilers import host_compiler
from tests.firmware.host_link import CIPHER
from tests.firmware.sealing import hchacha20

_SHA256 = {
    "monocypher.c": "57eb914fc88136119bd41655cccb8c250048bf54d470540625186f8ab16f64be",
    "monocypher.h": "c494da712122da7ff679fdcf318a5317e84972b6c950fe9d896212947797facd",
}


@pytest.fixture(scope="module")
def cipher(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = host_compiler()
    library = tmp_path_factory.mktemp("cipher") / "cipher.so"
    source = str(CIPHER / "monocypher.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", source, "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


_CONTEXT_BYTES = 64
"""More than ``crypto_aead_ctx`` takes."""


def _sealed(c: ctypes.CDLL, key: bytes, nonce: bytes, text: bytes, more: bytes) -> bytes:
    context, out, tag = (ctypes.create_string_buffer(size) for size in (_CONTEXT_BYTES, len(text) + 1, 16))
    c.crypto_aead_init_ietf(context, key, nonce)
    sizes = ctypes.c_size_t(len(more)), ctypes.c_size_t(len(text))
    c.crypto_aead_write(context, out, tag, more, sizes[0], text, sizes[1])
    return out.raw[: len(text)] + tag.raw


def _opened(c: ctypes.CDLL, key: bytes, nonce: bytes, sealed: bytes, more: bytes) -> bytes | None:
    context, out = (ctypes.create_string_buffer(size) for size in (_CONTEXT_BYTES, len(sealed)))
    text, tag = sealed[:-16], sealed[-16:]
    c.crypto_aead_init_ietf(context, key, nonce)
    sizes = ctypes.c_size_t(len(more)), ctypes.c_size_t(len(text))
    wrong = c.crypto_aead_read(context, out, tag, more, sizes[0], text, sizes[1])
    return None if wrong else out.raw[: len(text)]


@pytest.mark.parametrize("name", _SHA256)
def test_files_are_those_of_the_release(name: str) -> None:
    assert hashlib.sha256((CIPHER / name).read_bytes()).hexdigest() == _SHA256[name]


def test_sealing_agrees_with_rfc_8439(cipher: ctypes.CDLL) -> None:
    """Section 2.8.2."""
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex("070000004041424344454647")
    more = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    sealed = _sealed(cipher, key, nonce, text, more)
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    assert _opened(cipher, key, nonce, sealed, more) == text


def test_key_derivation_agrees_with_the_xchacha_draft(cipher: ctypes.CDLL) -> None:
    """draft-irtf-cfrg-xchacha-03, section 2.2.1."""
    key, number = bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927")
    out = ctypes.create_string_buffer(32)
    cipher.crypto_chacha20_h(out, key, number)
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert out.raw.hex() == expected
    assert hchacha20(key, number).hex() == expected


@settings(max_examples=60, deadline=None)
@given(
    key=st.binary(min_size=32, max_size=32),
    nonce=st.binary(min_size=12, max_size=12),
    text=st.binary(max_size=600),
    more=st.binary(max_size=40),
    flip=st.integers(0, 10_000),
)
def test_sealing_agrees_with_openssl(
    cipher: ctypes.CDLL, key: bytes, nonce: bytes, text: bytes, more: bytes, flip: int
) -> None:
    sealed = _sealed(cipher, key, nonce, text, more)
    truth = ChaCha20Poly1305(key)
    assert sealed == truth.encrypt(nonce, text, more)
    assert _opened(cipher, key, nonce, sealed, more) == text
    bad = bytearray(sealed)
    bad[flip % len(bad)] ^= 1 << flip % 8
    assert _opened(cipher, key, nonce, bytes(bad), more) is None
    with pytest.raises(InvalidTag):
        truth.decrypt(nonce, bytes(bad), more)
