package panamoe.harness.conformance.tokenizers;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.data.DataException;

/** The metadata of a small GGUF file that holds a vocabulary and no tensors. */
final class VocabularyFile {
  private static final int MAGIC = 0x46554747;
  private static final int COUNT_AT = 16;

  private VocabularyFile() {}

  /**
   * @throws DataException if it is another kind of file
   * @throws IOException if it cannot be read
   */
  static Map<String, Object> metadata(Path file) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    try {
      if (in.getInt() != MAGIC) {
        throw new DataException(file + " is not a GGUF file");
      }
      long keys = in.position(COUNT_AT).getLong();
      Map<String, Object> metadata = new HashMap<>();
      for (long i = 0; i < keys; i++) {
        String key = text(in);
        metadata.put(key, value(in, in.getInt(), file));
      }
      return metadata;
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      throw new DataException(file + " ends within its metadata", e);
    }
  }

  private static String text(ByteBuffer in) {
    byte[] utf8 = new byte[(int) Math.clamp(in.getLong(), 0L, in.remaining() + 1L)];
    in.get(utf8);
    return new String(utf8, StandardCharsets.UTF_8);
  }

  private static Object value(ByteBuffer in, int type, Path file) {
    return switch (type) {
      case 4 -> Integer.toUnsignedLong(in.getInt());
      case 5 -> (long) in.getInt();
      case 6 -> (double) in.getFloat();
      case 7 -> in.get() != 0;
      case 8 -> text(in);
      case 9 -> {
        int element = in.getInt();
        List<Object> elements = new ArrayList<>();
        for (long left = in.getLong(); left > 0; left--) {
          elements.add(value(in, element, file));
        }
        yield elements;
      }
      default -> throw new DataException(file + " has a value of the unknown type " + type);
    };
  }
}
