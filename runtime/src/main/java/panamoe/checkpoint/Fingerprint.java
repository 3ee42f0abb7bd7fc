package panamoe.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.TreeMap;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;
import tools.jackson.databind.JsonNode;

/** Tells a released model from others without reading all of it, which would take minutes. */
public final class Fingerprint {
  private static final int SAMPLED_BYTES = 64;

  private Fingerprint() {}

  /**
   * The SHA-256 of a model's configuration, and of the name, type, shape and some bytes of each
   * tensor, in hexadecimal digits.
   */
  public static String of(JsonNode config, TensorFiles files) {
    MessageDigest digest = Sha256.digest();
    digest.update(StrictJson.bytes(config));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment room = arena.allocate(SAMPLED_BYTES);
      for (StoredTensor tensor : new TreeMap<>(files.tensors()).values()) {
        digest.update(tensor.toString().getBytes(StandardCharsets.UTF_8));
        MemorySegment some = room.asSlice(0, Math.min(SAMPLED_BYTES, tensor.bytes()));
        files.read(tensor, (tensor.bytes() - some.byteSize()) / 2, some);
        digest.update(some.asByteBuffer());
      }
    }
    return Sha256.hex(digest);
  }
}
