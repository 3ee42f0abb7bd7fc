package panamoe.djl;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import ai.djl.MalformedModelException;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import panamoe.api.Parameters;

/**
 * A layer's parameters in DJL's file: their number, then for each the name, the number of
 * dimensions, the dimensions, and the elements, FLOAT32, little-endian.
 */
final class SavedParameters {
  private static final int CHUNK = 1 << 20; // bytes

  private static final ValueLayout.OfFloat STORED =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private SavedParameters() {}

  static void write(Parameters parameters, DataOutputStream file) throws IOException {
    file.writeInt(parameters.names().size());
    for (String name : parameters.names()) {
      long[] shape = parameters.shape(name);
      file.writeUTF(name);
      file.writeInt(shape.length);
      for (long length : shape) {
        file.writeLong(length);
      }
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment values = arena.allocate(JAVA_FLOAT, floats(shape));
        parameters.read(name, values);
        writeFloats(values, file);
      }
    }
  }

  /**
   * @throws MalformedModelException if the file's parameters are not the layer's; those before the
   *     mismatch have then been read
   */
  static void read(Parameters parameters, DataInputStream file)
      throws IOException, MalformedModelException {
    require("number of parameters", file.readInt(), parameters.names().size());
    for (String name : parameters.names()) {
      require("name of a parameter", file.readUTF(), name);
      long[] shape = parameters.shape(name);
      require("number of dimensions of " + name, file.readInt(), shape.length);
      long[] stored = new long[shape.length];
      for (int i = 0; i < stored.length; i++) {
        stored[i] = file.readLong();
      }
      require("shape of " + name, Arrays.toString(stored), Arrays.toString(shape));
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment values = arena.allocate(JAVA_FLOAT, floats(shape));
        readFloats(file, values);
        parameters.write(name, values);
      }
    }
  }

  private static void writeFloats(MemorySegment values, DataOutputStream file) throws IOException {
    byte[] chunk = new byte[CHUNK];
    MemorySegment heap = MemorySegment.ofArray(chunk);
    for (long at = 0; at < values.byteSize(); at += CHUNK) {
      int bytes = (int) Math.min(CHUNK, values.byteSize() - at);
      MemorySegment.copy(values, JAVA_FLOAT, at, heap, STORED, 0, bytes / Float.BYTES);
      file.write(chunk, 0, bytes);
    }
  }

  private static void readFloats(DataInputStream file, MemorySegment values) throws IOException {
    byte[] chunk = new byte[CHUNK];
    MemorySegment heap = MemorySegment.ofArray(chunk);
    for (long at = 0; at < values.byteSize(); at += CHUNK) {
      int bytes = (int) Math.min(CHUNK, values.byteSize() - at);
      file.readFully(chunk, 0, bytes);
      MemorySegment.copy(heap, STORED, 0, values, JAVA_FLOAT, at, bytes / Float.BYTES);
    }
  }

  private static void require(String what, Object stored, Object expected)
      throws MalformedModelException {
    if (!stored.equals(expected)) {
      throw new MalformedModelException(
          "the " + what + " is " + stored + " in the file, but the layer's is " + expected);
    }
  }

  private static long floats(long[] shape) {
    return Arrays.stream(shape).reduce(1, Math::multiplyExact);
  }
}
