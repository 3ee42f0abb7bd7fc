package panamoe.harness.ranks;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleConsumer;
import panamoe.backend.Backend;
import panamoe.comm.CommunicationException;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.Engine;
import panamoe.harness.ExpertReads;
import panamoe.harness.PartBar;
import panamoe.io.Count;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * A model that a command loads on its ranks for inference.
 *
 * @param settings how the weights are held
 * @param err receives the loader's warnings, and statistics of experts on disk
 * @param stop whether the user has cancelled loading
 */
public record EngineRun(
    ModelFolder folder, InferenceSettings settings, PrintWriter err, BooleanSupplier stop) {
  /** A smaller load takes a second or two and needs no progress message. */
  private static final long SAID_BYTES = 1L << 30;

  /**
   * Loads the model on all ranks, and runs {@code body} with an engine on rank 0.
   *
   * @throws Exception of the body, or like {@link #load}
   */
  public void run(Ranks ranks, Backend backend, EngineConfig config, Engine.Body body)
      throws Exception {
    WeightTypes types = settings.types();
    int tokens = (int) Math.min((long) config.blocks() * config.blockSize(), Integer.MAX_VALUE);
    DType cached = config.int8Cache() ? DType.INT8 : types.compute();
    if (ranks.world().size() == 1) {
      InferenceMemory.of(folder.config(), types, cached, tokens, backend.onHost())
          .within(settings.memory())
          .requireFits(folder.path(), backend.memoryAvailable());
    }
    InferenceMemory.Cached sequence = new InferenceMemory.Cached(cached, tokens);
    try (LanguageModel loaded = load(ranks, backend, sequence, _ -> {})) {
      Engine.onRanks(backend, loaded, folder.tokenizer(), config, body);
      if (ranks.first()) {
        loaded
            .parameters()
            .expertCache()
            .ifPresent(cache -> err.println(ExpertReads.sentence(cache.statistics())));
      }
    }
  }

  /**
   * Compares the ranks' native libraries and models. Collective.
   *
   * @throws CommunicationException on every rank if they differ
   */
  public static void requireSameModel(Ranks ranks, ModelFolder folder) {
    ranks.requireSame(
        () ->
            Map.of(
                "native library of checksum", BuildHash.ofLibrary(),
                "model of SHA-256", folder.weights().sha256()));
  }

  /**
   * Loads this rank's part of the model. Rank 0 prints progress and warnings.
   *
   * @param progress receives the loaded fraction, 0 to 1, on any thread
   * @throws CancellationException if the user cancels
   * @throws Exception if the model does not fit into memory or cannot be loaded, or a rank has
   *     another model or native library
   */
  public LanguageModel load(Ranks ranks, Backend backend, DoubleConsumer progress)
      throws Exception {
    return load(
        ranks, backend, new InferenceMemory.Cached(settings.types().compute(), 0), progress);
  }

  private LanguageModel load(
      Ranks ranks, Backend backend, InferenceMemory.Cached cached, DoubleConsumer progress)
      throws Exception {
    long bytes = folder.weights().bytes();
    if (ranks.first() && bytes >= SAID_BYTES) {
      err.println("loading " + Count.bytes(bytes) + " of weights from " + folder.path());
      err.flush();
    }
    requireSameModel(ranks, folder);
    List<String> warnings = new ArrayList<>();
    LanguageModel loaded;
    try (PartBar bar = PartBar.onStandardError("loading", bytes)) {
      DoubleConsumer shown = ranks.first() ? progress.andThen(bar) : progress;
      loaded = folder.load(backend, settings, ranks, cached, warnings, part -> report(part, shown));
    }
    if (ranks.first()) {
      warnings.forEach(warning -> err.println("warning: " + warning));
    }
    return loaded;
  }

  private void report(double part, DoubleConsumer shown) {
    if (stop.getAsBoolean()) {
      throw new CancellationException();
    }
    shown.accept(part);
  }
}
