"""The media type of what telephones and browsers record, by the first bytes, where a library would guess. Pure.

ISO base media files by their brands (ISO/IEC 14496-12; registered at https://mp4ra.org/registered-types/brands), Ogg by
its first packet (RFC 3533, RFC 7845), WebM by its document type (RFC 8794), WAV by its form.
"""

from __future__ import annotations

_BRANDS: dict[bytes, str] = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"M4A ", b"M4B "), "audio/mp4"),
    b"qt  ": "video/quicktime",
}
_GENERIC = (b"mif1", b"msf1")
"""Brands of any picture in this container; its compatible brands say in which coding."""
_AUDIO_IN_OGG = (b"OpusHead", b"\x01vorbis", b"Speex   ", b"\x7fFLAC")


def media_type(head: bytes) -> str:
    """The type of a recording or HEIC picture; empty for anything else. `head`: the first 100 bytes or more."""
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head.startswith(b"OggS") and len(head) > 27:
        packet = head[27 + head[26] :]
        return "audio/ogg" if packet.startswith(_AUDIO_IN_OGG) else "video/ogg"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"\x42\x82\x84webm" in head[:64] else "video/x-matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "audio/wav"
    return ""


def _by_brand(head: bytes) -> str:
    brand, end = head[8:12], min(int.from_bytes(head[:4]), len(head))
    if brand in _GENERIC:
        compatible = [head[at : at + 4] for at in range(16, end - 3, 4)]
        return next((_BRANDS[name] for name in compatible if _BRANDS.get(name) == "image/heic"), "")
    return _BRANDS.get(brand, "")
