package panamoe.harness.serve;

import java.util.Locale;
import panamoe.config.ModelConfig;
import panamoe.engine.EngineConfig;
import panamoe.nn.KeyValueCache;
import panamoe.tensor.DType;

/**
 * How much memory keys and values take.
 *
 * @param blocks of {@link EngineConfig#BLOCK} tokens
 * @param tokenBytes bytes of a token
 */
record CacheSize(int blocks, long tokenBytes) {
  private static final long MIB = 1 << 20;

  /**
   * Room for {@code sequences} of the whole context, or what half of the free memory holds.
   *
   * @param dtype of keys and values
   * @param mib how much it may take instead; 0 if that is not said
   * @param freeBytes of the device, beside the weights
   * @throws IllegalArgumentException if it cannot hold even one sequence, or, where its size is
   *     said, one block
   */
  static CacheSize of(ModelConfig config, DType dtype, int sequences, long mib, long freeBytes) {
    long tokenBytes = 0;
    for (var block : config.blocks()) {
      tokenBytes += KeyValueCache.tokenBytes(dtype, block.attention().heads());
    }
    long blockBytes = tokenBytes * EngineConfig.BLOCK;
    int context = Math.ceilDiv(config.context(), EngineConfig.BLOCK);
    if (mib < 0) {
      throw new IllegalArgumentException("--cache-mib is " + mib + ", expected 0 or more");
    }
    if (mib > 0) {
      long blocks =
          Math.min(
              Math.min(mib, Long.MAX_VALUE / MIB) * MIB / blockBytes, (long) sequences * context);
      if (blocks == 0) {
        throw new IllegalArgumentException(
            "--cache-mib is " + mib + ", but a block of the cache has " + blockBytes + " bytes");
      }
      return new CacheSize(Math.toIntExact(blocks), tokenBytes);
    }
    long blocks = Math.min(freeBytes / 2 / blockBytes, (long) sequences * context);
    if (blocks < context) {
      throw new IllegalArgumentException(
          "half of the free memory, "
              + freeBytes / 2 / MIB
              + " MiB, does not hold the "
              + (context * blockBytes + MIB - 1) / MIB
              + " MiB of one sequence: free some, or say --cache-mib for shorter ones");
    }
    return new CacheSize(Math.toIntExact(blocks), tokenBytes);
  }

  long tokens() {
    return (long) blocks * EngineConfig.BLOCK;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT, "%,d tokens (%,.1f MiB)", tokens(), (double) tokens() * tokenBytes / MIB);
  }
}
