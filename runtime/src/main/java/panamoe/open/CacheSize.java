package panamoe.open;

import panamoe.config.ModelConfig;
import panamoe.engine.EngineConfig;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.tensor.DType;

/**
 * The size of the key/value cache.
 *
 * @param blocks of {@link EngineConfig#BLOCK} tokens
 * @param windowBlocks most blocks of layers with a window; at most {@code blocks}
 * @param tokenBytes bytes per token in layers without a window
 * @param windowBytes bytes per token in layers with one
 */
public record CacheSize(long blocks, long windowBlocks, long tokenBytes, long windowBytes) {
  private static final long MIB = 1 << 20;

  /**
   * Room for all sequences of {@code most}, limited to half of the free memory.
   *
   * @param dtype of keys and values
   * @param most with a cache for all its sequences at the full context
   * @param mib the size instead; 0 if not given
   * @param freeBytes of the device, without the weights
   * @param advice what to do if one sequence does not fit
   * @throws IllegalArgumentException if it does not hold one sequence or, with a given size, one
   *     block
   */
  public static CacheSize of(
      ModelConfig config, DType dtype, EngineConfig most, long mib, long freeBytes, String advice) {
    int window = config.window();
    long tokenBytes = 0;
    long windowBytes = 0;
    for (var block : config.blocks()) {
      long bytes = block.attention().cacheRow(1).bytes(dtype);
      if (block.attention().scores().within(window)) {
        windowBytes += bytes;
      } else {
        tokenBytes += bytes;
      }
    }
    CacheSize whole =
        new CacheSize(most.blocks(), most.windowBlocks(window), tokenBytes, windowBytes);
    Require.that(mib >= 0, "--cache-mib is %s, expected 0 or more", mib);
    if (mib > 0) {
      CacheSize said = whole.within(Math.min(mib, Long.MAX_VALUE / MIB) * MIB);
      if (said.blocks == 0) {
        throw Require.refusal(
            "--cache-mib is %s, but a block of the cache has %s bytes",
            mib, whole.withBlocks(1).bytes());
      }
      return said;
    }
    // Each sequence has separate memory for an encoder's keys and values.
    long encoded = most.sequences() * InferenceMemory.ofEncodedText(config, dtype);
    CacheSize held = whole.within(Math.max(0, freeBytes / 2 - encoded));
    int context = Math.ceilDiv(config.context(), EngineConfig.BLOCK);
    Require.that(
        held.blocks >= context,
        "half of the free memory, %s MiB, does not hold the %s MiB of one sequence: free some, or %s",
        freeBytes / 2 / MIB,
        Math.ceilDiv(whole.withBlocks(context).bytes(), MIB),
        advice);
    return held;
  }

  /** This cache, limited to {@code bytes}. */
  private CacheSize within(long bytes) {
    long blockBytes = EngineConfig.BLOCK * (tokenBytes + windowBytes);
    long held = bytes / blockBytes;
    if (held > windowBlocks) { // further blocks are of layers without a window
      long windows = EngineConfig.BLOCK * windowBlocks * windowBytes;
      held = tokenBytes == 0 ? blocks : (bytes - windows) / (EngineConfig.BLOCK * tokenBytes);
    }
    return withBlocks(Math.min(blocks, held));
  }

  /** This cache with {@code fewer} blocks. */
  public CacheSize withBlocks(long fewer) {
    return new CacheSize(fewer, Math.min(windowBlocks, fewer), tokenBytes, windowBytes);
  }

  public long tokens() {
    return blocks * EngineConfig.BLOCK;
  }

  public long bytes() {
    return EngineConfig.BLOCK * (blocks * tokenBytes + windowBlocks * windowBytes);
  }

  @Override
  public String toString() {
    return Words.of("%,d tokens (%,.1f MiB)", tokens(), (double) bytes() / MIB);
  }
}
