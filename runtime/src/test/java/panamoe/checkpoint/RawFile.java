package panamoe.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Safetensors files made by hand, so that they can be wrong. */
final class RawFile {
  private RawFile() {}

  static byte[] bytes(long headerLength, byte[] header, byte[] data) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(
        ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(headerLength).array());
    out.writeBytes(header);
    out.writeBytes(data);
    return out.toByteArray();
  }

  static byte[] bytes(String header, int dataBytes) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    return bytes(json.length, json, new byte[dataBytes]);
  }

  static Path write(Path directory, byte[] content) {
    try {
      return Files.write(directory.resolve("model.safetensors"), content);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
