package panamoe.harness.ranks;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import panamoe.backend.Backend;
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
 * An engine over the ranks of a command that writes texts.
 *
 * @param settings how the model is held
 * @param err receives the loader's warnings, and what was read of experts on the disk
 * @param stop whether the user wants an end, also while the model is loaded
 */
public record EngineRun(
    ModelFolder folder,
    InferenceSettings settings,
    EngineConfig config,
    PrintWriter err,
    BooleanSupplier stop) {
  /** A smaller load takes a second or two, and needs no word before. */
  private static final long SAID_BYTES = 1L << 30;

  /**
   * Loads the model on all ranks, and runs {@code body} with an engine on rank 0.
   *
   * @throws CancellationException if the user wants an end before it is loaded
   * @throws Exception of the body, or if the model does not fit into memory or cannot be loaded, or
   *     a rank has another model or native library
   */
  public void run(Ranks ranks, Backend backend, Engine.Body body) throws Exception {
    Alike.requireModel(ranks, folder);
    WeightTypes types = settings.types();
    if (ranks.world().size() == 1) {
      int tokens = (int) Math.min((long) config.blocks() * config.blockSize(), Integer.MAX_VALUE);
      DType cached = config.int8Cache() ? DType.INT8 : types.compute();
      InferenceMemory.of(folder.config(), types, cached, tokens, backend.onHost())
          .within(settings.memory())
          .requireFits(folder.path(), backend.memoryAvailable());
    } else if (backend.onHost()) {
      InferenceMemory.requireShares(folder, settings, ranks, backend.memoryAvailable());
    }
    List<String> warnings = new ArrayList<>();
    try (LanguageModel loaded = load(ranks, backend, warnings)) {
      if (ranks.first()) {
        warnings.forEach(warning -> err.println("warning: " + warning));
      }
      Engine.onRanks(backend, loaded, folder.tokenizer(), config, body);
      if (ranks.first()) {
        loaded
            .expertCache()
            .ifPresent(cache -> err.println(ExpertReads.sentence(cache.statistics())));
      }
    }
  }

  private LanguageModel load(Ranks ranks, Backend backend, List<String> warnings) {
    long bytes = folder.weights().bytes();
    if (ranks.first() && bytes >= SAID_BYTES) {
      err.println("loading " + Count.bytes(bytes) + " of weights from " + folder.path());
      err.flush();
    }
    try (PartBar bar = PartBar.onStandardError("loading")) {
      return folder.load(backend, settings, ranks, warnings, part -> told(ranks, bar, part));
    }
  }

  private void told(Ranks ranks, PartBar bar, double part) {
    if (stop.getAsBoolean()) {
      throw new CancellationException();
    }
    if (ranks.first()) {
      bar.accept(part);
    }
  }
}
