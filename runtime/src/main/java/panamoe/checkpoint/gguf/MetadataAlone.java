package panamoe.checkpoint.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.SavedFile;

/** The metadata of a GGUF file as a file of its own, which {@link GgufFile} opens. */
public final class MetadataAlone {
  private static final int VERSION_AT = 4;
  private static final int KEYS_AT = 16;
  private static final int HEADER = 24;
  private static final String OF_PARTS = "split.";

  private MetadataAlone() {}

  /**
   * The keys and values byte for byte, except what says that a model is in several files.
   *
   * @param path of a file that {@link GgufFile} has opened
   * @throws CheckpointException if it cannot be read any more
   */
  public static byte[] of(Path path) {
    try (FileChannel channel = SavedFile.open(path)) {
      GgufInput in = new GgufInput(path, channel);
      ByteBuffer header = in.bytes(HEADER, 1, "the header");
      long keys = header.getLong(KEYS_AT);
      ByteBuffer kept = ByteBuffer.allocate(GgufInput.MAX_HEADER_BYTES);
      kept.order(ByteOrder.LITTLE_ENDIAN).put(header.putLong(VERSION_AT + Integer.BYTES, 0));
      long left = keys;
      for (long i = 0; i < keys; i++) {
        long begin = in.position();
        boolean ofParts = in.string("a key", Integer.MAX_VALUE).startsWith(OF_PARTS);
        skip(in, in.int32("a type"));
        if (ofParts) {
          left--;
          continue;
        }
        int end = kept.position() + (int) (in.position() - begin);
        SavedFile.readFully(channel, kept.limit(end), begin, path);
        kept.limit(kept.capacity());
      }
      kept.putLong(KEYS_AT, left).flip();
      byte[] bytes = new byte[kept.limit()];
      kept.get(bytes);
      return bytes;
    } catch (IOException e) {
      throw CheckpointException.unread(path, e);
    }
  }

  private static void skip(GgufInput in, int number) throws IOException {
    GgufValue.Type type = GgufValue.Type.values()[number];
    if (type == GgufValue.Type.ARRAY) {
      int element = in.int32("a type");
      long count = in.int64("a length");
      if (GgufValue.Type.values()[element] != GgufValue.Type.STRING) {
        in.bytes(count, GgufValue.Type.values()[element].bytes(), "an array");
        return;
      }
      for (long i = 0; i < count; i++) {
        in.string("a text", Integer.MAX_VALUE);
      }
    } else if (type == GgufValue.Type.STRING) {
      in.string("a text", Integer.MAX_VALUE);
    } else {
      in.bytes(1, type.bytes(), "a number");
    }
  }
}
