package panamoe.peers;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.StructLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import panamoe.io.Require;

/**
 * The functions of libllama that a benchmark calls. Structs are passed by value, so their layouts
 * belong to one version. The library stays loaded until the process ends.
 */
@SuppressWarnings("restricted") // foreign functions
final class LibLlama {
  /** The version of these layouts. */
  static final String VERSION = "0.5.0";

  /** The log level of errors. */
  private static final int ERROR = 4;

  private static final Map<String, ValueLayout> TYPES =
      Map.of(
          "pointer", ADDRESS,
          "int", JAVA_INT,
          "size", JAVA_LONG,
          "float", JAVA_FLOAT,
          "bool", JAVA_BOOLEAN);

  static final StructLayout MODEL_PARAMS =
      struct(
          """
          pointer devices tensor_buft_overrides
          int n_gpu_layers split_mode load_mode lazy_mode main_gpu
          pointer tensor_split progress_callback progress_callback_user_data kv_overrides
          bool vocab_only check_tensors use_extra_bufts no_host no_alloc load_mtp
          """);

  static final StructLayout CONTEXT_PARAMS =
      struct(
          """
          int n_ctx n_batch n_ubatch n_seq_max n_rs_seq n_outputs_max
          int n_outputs_max_per_seq n_threads n_threads_batch ctx_type rope_scaling_type
          int pooling_type attention_type flash_attn_type
          float rope_freq_base rope_freq_scale yarn_ext_factor yarn_attn_factor
          float yarn_beta_fast yarn_beta_slow
          int yarn_orig_ctx
          float defrag_thold
          pointer cb_eval cb_eval_user_data
          int type_k type_v
          pointer abort_callback abort_callback_data
          bool embeddings offload_kqv no_perf op_offload swa_full kv_unified
          pointer samplers
          size n_samplers
          pointer ctx_other
          """);

  static final StructLayout BATCH =
      struct(
          """
          int n_tokens
          pointer token embd pos n_seq_id seq_id logits
          """);

  private final SymbolLookup symbols;
  private final MethodHandle modelDefaults = function("llama_model_default_params", MODEL_PARAMS);
  private final MethodHandle contextDefaults =
      function("llama_context_default_params", CONTEXT_PARAMS);
  private final MethodHandle loadModel =
      function("llama_model_load_from_file", ADDRESS, ADDRESS, MODEL_PARAMS);
  private final MethodHandle freeModel = procedure("llama_model_free", ADDRESS);
  private final MethodHandle newContext =
      function("llama_init_from_model", ADDRESS, ADDRESS, CONTEXT_PARAMS);
  private final MethodHandle freeContext = procedure("llama_free", ADDRESS);
  private final MethodHandle getMemory = function("llama_get_memory", ADDRESS, ADDRESS);
  private final MethodHandle remove =
      function("llama_memory_seq_rm", JAVA_BOOLEAN, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT);
  private final MethodHandle decode = function("llama_decode", JAVA_INT, ADDRESS, BATCH);
  private final MethodHandle synchronize = procedure("llama_synchronize", ADDRESS);
  private final MethodHandle logits = function("llama_get_logits_ith", ADDRESS, ADDRESS, JAVA_INT);
  private final MethodHandle embeddings =
      function("llama_get_embeddings_seq", ADDRESS, ADDRESS, JAVA_INT);
  private final MethodHandle loadAdapter =
      function("llama_adapter_lora_init", ADDRESS, ADDRESS, ADDRESS);
  private final MethodHandle setAdapters =
      function("llama_set_adapters_lora", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
  private final MethodHandle mostSequences = function("llama_max_parallel_sequences", JAVA_LONG);
  private final MethodHandle getVocabulary = function("llama_model_get_vocab", ADDRESS, ADDRESS);
  private final MethodHandle tokens = function("llama_vocab_n_tokens", JAVA_INT, ADDRESS);
  private final MethodHandle tokenize =
      function(
          "llama_tokenize",
          JAVA_INT,
          ADDRESS,
          ADDRESS,
          JAVA_INT,
          ADDRESS,
          JAVA_INT,
          JAVA_BOOLEAN,
          JAVA_BOOLEAN);
  private volatile String latestError = "it gives no reason";

  /**
   * Loads the library.
   *
   * @param folder with its files, which ci/fetch/peers installs
   * @throws IllegalArgumentException if it has no library of this version
   */
  LibLlama(Path folder) {
    Path file = folder.resolve("libllama.v" + VERSION + ".so");
    Path ggml = folder.resolve("libggml.v" + VERSION + ".so");
    if (!Files.isRegularFile(file)) {
      throw new IllegalArgumentException(
          folder + " has no libllama " + VERSION + ": ci/fetch/peers installs it");
    }
    this.symbols = SymbolLookup.libraryLookup(file, Arena.global());
    super(); // the functions, by these symbols
    call(procedure("llama_log_set", ADDRESS, ADDRESS), listener(), MemorySegment.NULL);
    // Loads the best CPU backend in the folder for this processor.
    SymbolLookup backends = SymbolLookup.libraryLookup(ggml, Arena.global());
    MethodHandle loadAll =
        handle(backends, "ggml_backend_load_all_from_path", FunctionDescriptor.ofVoid(ADDRESS));
    try (Arena arena = Arena.ofConfined()) {
      call(loadAll, arena.allocateFrom(folder.toString()));
    }
    call(procedure("llama_backend_init"));
  }

  /** The library's default settings of a model. */
  MemorySegment modelDefaults(Arena arena) {
    return (MemorySegment) call(modelDefaults, (SegmentAllocator) arena);
  }

  /** The library's default settings of a context. */
  MemorySegment contextDefaults(Arena arena) {
    return (MemorySegment) call(contextDefaults, (SegmentAllocator) arena);
  }

  /**
   * A model.
   *
   * @param mapped true to memory-map the weights, the library's default. A decode step takes a
   *     tenth longer than with weights read into memory
   * @throws IllegalArgumentException if the library refuses the file
   */
  MemorySegment loadModel(Path file, boolean mapped) {
    return load(file, params -> params.set(JAVA_INT, offset("load_mode"), mapped ? 1 : 0));
  }

  /**
   * A memory-mapped model whose weights the library does not repack for the processor. For AMX it
   * repacks blocks that it cannot multiply afterwards, such as those of latent attention, and ends
   * the process by an assertion.
   *
   * @throws IllegalArgumentException if the library refuses the file
   */
  MemorySegment loadUnpacked(Path file) {
    return load(
        file,
        params -> {
          params.set(JAVA_INT, offset("load_mode"), 1);
          params.set(JAVA_BOOLEAN, offset("use_extra_bufts"), false);
        });
  }

  /**
   * A model without weights, whose tokenizer can be used.
   *
   * @throws IllegalArgumentException if the library refuses the file
   */
  MemorySegment loadVocabulary(Path file) {
    return load(file, params -> params.set(JAVA_BOOLEAN, offset("vocab_only"), true));
  }

  private MemorySegment load(Path file, Consumer<MemorySegment> settings) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocateFrom(file.toString());
      MemorySegment params = modelDefaults(arena);
      settings.accept(params);
      return required((MemorySegment) call(loadModel, name, params));
    }
  }

  private static long offset(String field) {
    return MODEL_PARAMS.byteOffset(MemoryLayout.PathElement.groupElement(field));
  }

  /**
   * The tokens of a text.
   *
   * @param whole whether the text is a prompt, with the tokens before it
   * @param special whether text that spells a special token becomes it
   */
  int[] tokenize(MemorySegment model, String text, boolean whole, boolean special) {
    try (Arena arena = Arena.ofConfined()) {
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
      int most = utf8.length + 16; // each byte at most, and tokens around the text
      MemorySegment ids = arena.allocate(JAVA_INT, most);
      Object vocabulary = call(getVocabulary, model);
      MemorySegment given = arena.allocateFrom(ValueLayout.JAVA_BYTE, utf8);
      int count = (int) call(tokenize, vocabulary, given, utf8.length, ids, most, whole, special);
      return ids.asSlice(0, count * JAVA_INT.byteSize()).toArray(JAVA_INT);
    }
  }

  void freeModel(MemorySegment model) {
    call(freeModel, model);
  }

  /** Tokens of a model's vocabulary. */
  int vocabulary(MemorySegment model) {
    return (int) call(tokens, (MemorySegment) call(getVocabulary, model));
  }

  /**
   * @throws IllegalArgumentException if the library refuses the settings
   */
  MemorySegment newContext(MemorySegment model, MemorySegment params) {
    return required((MemorySegment) call(newContext, model, params));
  }

  void freeContext(MemorySegment context) {
    call(freeContext, context);
  }

  /**
   * Applies an adapter to all that the context computes.
   *
   * @param file whose tensors the model holds until its end
   * @throws IllegalArgumentException if the library refuses the file
   */
  void adapt(MemorySegment model, MemorySegment context, Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocateFrom(file.toString());
      MemorySegment adapter = required((MemorySegment) call(loadAdapter, model, name));
      MemorySegment adapters = arena.allocateFrom(ADDRESS, adapter);
      int status =
          (int) call(setAdapters, context, adapters, 1L, arena.allocateFrom(JAVA_FLOAT, 1));
      Require.that(status == 0, "libllama: %s", latestError);
    }
  }

  /** The key/value cache of a context. */
  MemorySegment memory(MemorySegment context) {
    return (MemorySegment) call(getMemory, context);
  }

  /** Removes the tokens of all sequences from {@code position} on. */
  void removeFrom(MemorySegment memory, int position) {
    call(remove, memory, -1, position, -1);
  }

  /**
   * Computes a batch and waits for its end.
   *
   * @throws IllegalStateException if the library cannot
   */
  void decode(MemorySegment context, MemorySegment batch) {
    int status = (int) call(decode, context, batch);
    call(synchronize, context);
    if (status != 0) {
      throw new IllegalStateException("llama_decode returned " + status + ": " + latestError);
    }
  }

  /**
   * The logits [V] after token {@code index} of the latest batch.
   *
   * @throws IllegalArgumentException if they were not computed
   */
  float[] logits(MemorySegment context, int index, int vocabulary) {
    return required((MemorySegment) call(logits, context, index))
        .reinterpret(JAVA_FLOAT.byteSize() * vocabulary)
        .toArray(JAVA_FLOAT);
  }

  /**
   * What the context pools of sequence {@code text} of the latest batch.
   *
   * @param width numbers of the result
   * @throws IllegalArgumentException if it pools nothing
   */
  float[] embedding(MemorySegment context, int text, int width) {
    return required((MemorySegment) call(embeddings, context, text))
        .reinterpret(JAVA_FLOAT.byteSize() * width)
        .toArray(JAVA_FLOAT);
  }

  /** The limit of sequences per context. */
  long mostSequences() {
    return (long) call(mostSequences);
  }

  private MemorySegment required(MemorySegment result) {
    Require.that(!result.equals(MemorySegment.NULL), "libllama: %s", latestError);
    return result;
  }

  /** A log callback that keeps the last error and drops other messages. */
  private MemorySegment listener() {
    try {
      MethodHandle heard =
          MethodHandles.lookup()
              .bind(
                  this,
                  "heard",
                  MethodType.methodType(
                      void.class, int.class, MemorySegment.class, MemorySegment.class));
      return Linker.nativeLinker()
          .upcallStub(heard, FunctionDescriptor.ofVoid(JAVA_INT, ADDRESS, ADDRESS), Arena.global());
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  private void heard(int level, MemorySegment text, MemorySegment data) {
    if (level == ERROR) {
      latestError = text.reinterpret(Long.MAX_VALUE).getString(0).strip();
    }
  }

  private MethodHandle function(String name, MemoryLayout result, MemoryLayout... arguments) {
    return handle(symbols, name, FunctionDescriptor.of(result, arguments));
  }

  private MethodHandle procedure(String name, MemoryLayout... arguments) {
    return handle(symbols, name, FunctionDescriptor.ofVoid(arguments));
  }

  private static MethodHandle handle(SymbolLookup in, String name, FunctionDescriptor type) {
    return Linker.nativeLinker().downcallHandle(in.findOrThrow(name), type);
  }

  private static Object call(MethodHandle function, Object... arguments) {
    try {
      return function.invokeWithArguments(arguments);
    } catch (Throwable e) {
      throw new IllegalStateException(e); // C throws nothing
    }
  }

  /**
   * A struct with the padding that C gives it.
   *
   * @param lines each with a type and the names of its fields
   */
  private static StructLayout struct(String lines) {
    List<MemoryLayout> fields = new ArrayList<>();
    long size = 0;
    for (String line : lines.lines().toList()) {
      String[] words = line.split(" ");
      ValueLayout type = TYPES.get(words[0]);
      size += pad(fields, size, type);
      for (String name : List.of(words).subList(1, words.length)) {
        fields.add(type.withName(name));
        size += type.byteSize();
      }
    }
    pad(fields, size, ADDRESS); // each of them has pointers
    return MemoryLayout.structLayout(fields.toArray(MemoryLayout[]::new));
  }

  private static long pad(List<MemoryLayout> fields, long size, ValueLayout next) {
    long padding = Math.floorMod(-size, next.byteAlignment());
    if (padding > 0) {
      fields.add(MemoryLayout.paddingLayout(padding));
    }
    return padding;
  }
}
