"""Bytes on disk: files, checksums, column files, the log, metadata and the lock.

The only layer that opens data files. It knows names, blocks, frames and records, and
leaves their meaning (segments, manifests, schemas) to the layers above.
"""
