"""Token shards: which document goes where, in which order, and the files that hold them.

This docstring is the whole contract between `pipeline` and `train`. A shards folder holds

    shards.json            written last; what is here (`manifest.json` beside it is the engine's)
    train_000000.bin       the tokens of a file; at least two train files where there are two documents
    train_000000.idx       where each document starts
    train_000000.urls.txt  one line a document: its URL, UTF-8, "" where unknown
    train_000001.bin ...   val_000000.bin ... (no val file where nothing is held out)

**.bin** is llm.c's version 1, little-endian: 256 int32 (magic 20240520, version 1, number of tokens,
the rest 0), then the tokens as uint16. The end-of-text token stands BEFORE each document, so the
first token of a file is always that one, and a document's last token is followed by the next
document's EOT or by the end of the file. Documents are never cut at a file's border. Fewer than 2^30
tokens a file, since llm.c seeks with a 32-bit int.

**.idx**, little-endian, for N documents:

    offset  0  8 bytes    magic b"WTIDX\\0\\0\\1"
            8  uint32     version, 1
           12  uint32     0
           16  uint64     N, documents
           24  uint64     T, tokens of the .bin, EOTs included
           32  uint64     documents of this split in the files before this one
           40  16 bytes   xxh3_128 of the whole .bin file (big-endian, as its hex digest reads)
           56  8 bytes    0
           64  uint64[N+1]   start: token offset of each document's EOT; the last is T
    64+8(N+1)  uint64[N]     text_bytes: UTF-8 bytes of the document's text (EOT counts none)
    64+8(2N+1) bytes[16][N]  document id: the 16 bytes that its 32 hexadecimal digits write

Document i of a file is tokens start[i] (the EOT) to start[i + 1], and line i of `.urls.txt`.

**shards.json**:

    {"format": "webtext-shards/1", "dtype": "uint16", "eot_id": 50256, "vocab_size": 50257,
     "tokenizer": "<32 hex digits: digest of vocabulary and merges>",
     "seed": 1, "val_share": 0.05, "split_by": "document",
     "splits": {"train": {"documents": N, "tokens": T, "text_bytes": B}, "val": {...}},
     "files": [{"name": "train_000000.bin", "split": "train", "documents": N, "tokens": T,
                "text_bytes": B, "xxh3_128": "<hex digest of the .bin file>"}, ...]}

`splits` always has both names; counts are 0 for an empty one. `tokens` include EOTs. `files` are in
reading order: train by number, then val. Bits per byte of a split is the summed loss in bits over
`text_bytes`. The order of documents is that of a hash of (seed, id), so it is already shuffled, and
the same for any number of parts.
"""
