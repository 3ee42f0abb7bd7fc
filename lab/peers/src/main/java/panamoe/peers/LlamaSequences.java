package panamoe.peers;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.nio.file.Path;
import panamoe.tensor.DType;

/**
 * Sequences that libllama decodes as a batch, each with its own stream in the key/value cache. Used
 * by one thread.
 */
final class LlamaSequences implements AutoCloseable {
  /** The size of a stream is a multiple of this. */
  private static final int CELLS = 256;

  /** ggml's FLOAT32. */
  private static final int F32 = 0;

  private final LibLlama library;
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment model;
  private final MemorySegment context;
  private final MemorySegment memory;
  private final MemorySegment batch;
  private final MemorySegment tokens;
  private final MemorySegment positions;
  private final MemorySegment texts;
  private final MemorySegment wanted;
  private int count;

  /**
   * @param texts number of sequences
   * @param length limit of tokens per sequence
   * @param step limit of tokens per decode
   * @param dtype FLOAT32 for float32 keys and values without flash attention, which would round
   *     them; BFLOAT16 for the library's defaults, FLOAT16 with flash attention
   * @throws IllegalArgumentException if the library cannot
   */
  LlamaSequences(
      LibLlama library,
      MemorySegment model,
      int texts,
      int length,
      int step,
      int threads,
      DType dtype) {
    this(library, model, texts, length, step, threads, dtype, false);
  }

  /**
   * @param pools whether it pools hidden states, as the model's file says, and computes no logits
   */
  LlamaSequences(
      LibLlama library,
      MemorySegment model,
      int texts,
      int length,
      int step,
      int threads,
      DType dtype,
      boolean pools) {
    if (texts > library.mostSequences()) {
      throw new IllegalArgumentException(
          "libllama decodes at most "
              + library.mostSequences()
              + " sequences together, not "
              + texts);
    }
    this.library = library;
    this.model = model;
    MemorySegment params = library.contextDefaults(arena);
    set(LibLlama.CONTEXT_PARAMS, params, "n_ctx", texts * Math.ceilDiv(length, CELLS) * CELLS);
    set(LibLlama.CONTEXT_PARAMS, params, "n_batch", Math.max(get(params, "n_batch"), step));
    set(LibLlama.CONTEXT_PARAMS, params, "n_seq_max", texts);
    set(LibLlama.CONTEXT_PARAMS, params, "n_threads", threads);
    set(LibLlama.CONTEXT_PARAMS, params, "n_threads_batch", threads);
    if (dtype == DType.FLOAT32) {
      set(LibLlama.CONTEXT_PARAMS, params, "type_k", F32);
      set(LibLlama.CONTEXT_PARAMS, params, "type_v", F32);
      set(LibLlama.CONTEXT_PARAMS, params, "flash_attn_type", 0);
    }
    long embeddings = LibLlama.CONTEXT_PARAMS.byteOffset(PathElement.groupElement("embeddings"));
    params.set(JAVA_BOOLEAN, embeddings, pools);
    this.context = library.newContext(model, params);
    this.memory = library.memory(context);
    this.batch = arena.allocate(LibLlama.BATCH);
    this.tokens = array("token", arena.allocate(JAVA_INT, step));
    this.positions = array("pos", arena.allocate(JAVA_INT, step));
    this.wanted = array("logits", arena.allocate(JAVA_BYTE, step));
    this.texts = arena.allocate(JAVA_INT, step);
    MemorySegment ones = array("n_seq_id", arena.allocate(JAVA_INT, step));
    MemorySegment pointers = array("seq_id", arena.allocate(ADDRESS, step));
    for (int i = 0; i < step; i++) {
      ones.setAtIndex(JAVA_INT, i, 1);
      pointers.setAtIndex(ADDRESS, i, this.texts.asSlice(4L * i));
    }
  }

  /** Applies an adapter of llama.cpp's to the sequences. */
  void adapt(Path adapter) {
    library.adapt(model, context, adapter);
  }

  /**
   * Adds a token to the next {@link #decode}.
   *
   * @param logits true to compute logits after it
   */
  void add(int token, int text, int position, boolean logits) {
    tokens.setAtIndex(JAVA_INT, count, token);
    positions.setAtIndex(JAVA_INT, count, position);
    texts.setAtIndex(JAVA_INT, count, text);
    wanted.setAtIndex(JAVA_BYTE, count, (byte) (logits ? 1 : 0));
    count++;
  }

  /** Computes the added tokens. */
  void decode() {
    set(LibLlama.BATCH, batch, "n_tokens", count);
    count = 0;
    library.decode(context, batch);
  }

  /** Truncates all sequences to {@code position} tokens. */
  void cut(int position) {
    library.removeFrom(memory, position);
  }

  /**
   * The logits [V] after token {@code index} of the latest {@link #decode}.
   *
   * @throws IllegalArgumentException if they were not requested
   */
  float[] logits(int index, int vocabulary) {
    return library.logits(context, index, vocabulary);
  }

  /** What the model pools of a sequence of the latest {@link #decode}. */
  float[] embedding(int text, int width) {
    return library.embedding(context, text, width);
  }

  private MemorySegment array(String field, MemorySegment elements) {
    batch.set(ADDRESS, LibLlama.BATCH.byteOffset(PathElement.groupElement(field)), elements);
    return elements;
  }

  private static int get(MemorySegment params, String field) {
    return params.get(
        JAVA_INT, LibLlama.CONTEXT_PARAMS.byteOffset(PathElement.groupElement(field)));
  }

  private static void set(StructLayout layout, MemorySegment struct, String field, int value) {
    struct.set(JAVA_INT, layout.byteOffset(PathElement.groupElement(field)), value);
  }

  @Override
  public void close() {
    library.freeContext(context);
    arena.close();
  }
}
