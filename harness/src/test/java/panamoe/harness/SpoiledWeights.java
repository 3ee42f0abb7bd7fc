package panamoe.harness;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import panamoe.io.StrictJson;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Spoils the weights of a checkpoint whose checksums stay right. */
public final class SpoiledWeights {
  private static final JsonMapper JSON = JsonMapper.shared();

  private SpoiledWeights() {}

  /** The first value of the embedding becomes NaN. */
  public static void withNaN(Path checkpoint) throws IOException {
    Path file = checkpoint.resolve("model.safetensors");
    ByteBuffer bytes = bytes(file);
    int data = 8 + (int) bytes.getLong(0);
    JsonNode header = JSON.readTree(bytes.array(), 8, data - 8);
    int at = header.path("embedding.weight").path("data_offsets").path(0).asInt();
    bytes.putFloat(data + at, Float.NaN);
    write(checkpoint, file, bytes);
  }

  /** Every value becomes 1e18 times as large. */
  public static void enlarged(Path checkpoint) throws IOException {
    Path file = checkpoint.resolve("model.safetensors");
    ByteBuffer bytes = bytes(file);
    for (int at = 8 + (int) bytes.getLong(0); at < bytes.capacity(); at += Float.BYTES) {
      bytes.putFloat(at, bytes.getFloat(at) * 1e18f);
    }
    write(checkpoint, file, bytes);
  }

  private static ByteBuffer bytes(Path file) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void write(Path checkpoint, Path file, ByteBuffer bytes) throws IOException {
    Files.write(file, bytes.array());
    Path manifest = checkpoint.resolve("manifest.json");
    ObjectNode json = (ObjectNode) StrictJson.tree(Files.readAllBytes(manifest));
    ObjectNode entry = (ObjectNode) json.path("files").path(file.getFileName().toString());
    entry.put("sha256", sha256(bytes.array()));
    CRC32C crc = new CRC32C();
    crc.update(bytes.array());
    entry.put("crc32c", HexFormat.of().toHexDigits((int) crc.getValue()));
    json.remove("sha256"); // its own
    Files.write(manifest, StrictJson.bytes(json.put("sha256", sha256(StrictJson.bytes(json)))));
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
