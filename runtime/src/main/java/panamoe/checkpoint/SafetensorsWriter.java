package panamoe.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.util.Map;
import java.util.TreeMap;
import panamoe.io.Words;
import panamoe.tensor.Elements;
import panamoe.tensor.Tensor;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Writes safetensors files: tensors sorted by name, the first at a multiple of 8 bytes. Equal
 * tensors and metadata give equal bytes. Elements are written as {@link Elements#readBy} gives
 * them, without a copy of all.
 */
final class SafetensorsWriter {
  private static final int ALIGNMENT = 8;
  private static final long CHUNK_BYTES = 16L << 20;

  private SafetensorsWriter() {}

  /**
   * @throws IllegalArgumentException if a tensor is packed
   * @throws IllegalStateException if a tensor gives more or fewer bytes than its shape has
   */
  static void write(
      WritableByteChannel out,
      Map<String, ? extends Elements> tensors,
      Map<String, String> metadata)
      throws IOException {
    Map<String, Elements> sorted = new TreeMap<>(tensors);
    writeFully(out, header(sorted, metadata));
    for (Map.Entry<String, Elements> entry : sorted.entrySet()) {
      long[] written = {0};
      entry
          .getValue()
          .readBy(
              elements -> {
                written[0] += elements.byteSize();
                write(out, elements);
              });
      if (written[0] != entry.getValue().bytes()) {
        throw new IllegalStateException(
            Words.of(
                "tensor %s gave %s bytes, expected %s",
                entry.getKey(), written[0], entry.getValue().bytes()));
      }
    }
  }

  private static void write(WritableByteChannel out, MemorySegment data) throws IOException {
    for (long at = 0; at < data.byteSize(); at += CHUNK_BYTES) {
      writeFully(out, data.asSlice(at, Math.min(CHUNK_BYTES, data.byteSize() - at)).asByteBuffer());
    }
  }

  private static ByteBuffer header(Map<String, Elements> sorted, Map<String, String> metadata)
      throws IOException {
    ByteArrayOutputStream json = new ByteArrayOutputStream();
    try (JsonGenerator out = new JsonFactory().createGenerator(ObjectWriteContext.empty(), json)) {
      out.writeStartObject();
      if (!metadata.isEmpty()) {
        out.writeObjectPropertyStart("__metadata__");
        for (Map.Entry<String, String> entry : new TreeMap<>(metadata).entrySet()) {
          out.writeStringProperty(entry.getKey(), entry.getValue());
        }
        out.writeEndObject();
      }
      long end = 0;
      for (Map.Entry<String, Elements> entry : sorted.entrySet()) {
        Elements tensor = entry.getValue();
        if (tensor instanceof Tensor held && held.packed()) {
          throw new IllegalArgumentException(
              "tensor " + entry.getKey() + " is packed; write its unpacked origin");
        }
        out.writeObjectPropertyStart(entry.getKey());
        out.writeStringProperty("dtype", tensor.dtype().safetensorsName());
        writeArray(out, "shape", tensor.shape());
        writeArray(out, "data_offsets", end, end + tensor.bytes());
        out.writeEndObject();
        end += tensor.bytes();
      }
      out.writeEndObject();
    }
    while (json.size() % ALIGNMENT != 0) {
      json.write(' ');
    }
    return ByteBuffer.allocate(Long.BYTES + json.size())
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.size())
        .put(json.toByteArray())
        .flip();
  }

  private static void writeArray(JsonGenerator out, String field, long... values) {
    out.writeName(field);
    out.writeArray(values, 0, values.length);
  }

  private static void writeFully(WritableByteChannel out, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      out.write(buffer);
    }
  }
}
