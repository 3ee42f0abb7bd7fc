package panamoe.open;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleConsumer;
import panamoe.backend.Backend;
import panamoe.checkpoint.LoadTarget;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;

/**
 * Loads the model of a {@link ModelFolder}: all of it into memory, or experts through a cache.
 *
 * @param strict refuses NaN and infinite values
 * @param warnings of the loader, each once
 */
record FolderLoad(
    ModelFolder folder,
    Backend backend,
    InferenceSettings settings,
    boolean strict,
    List<String> warnings) {

  /** The part of the model on this rank. Like {@link ModelFolder#load}, without retry. */
  static LanguageModel of(
      ModelFolder folder,
      Backend backend,
      InferenceSettings settings,
      Ranks ranks,
      List<String> warnings,
      DoubleConsumer progress) {
    boolean alone = ranks.world().size() == 1;
    WeightTypes types = settings.types();
    ModelConfig limited = settings.config(folder.config());
    ModelConfig serving =
        folder.dropping() ? limited : limited.withGates(GateConfig::withoutDropping);
    boolean strict = warnings == null;
    FolderLoad load = new FolderLoad(folder, backend, settings, strict, new ArrayList<>());
    LanguageModel model = new LanguageModel(serving, ranks);
    try {
      boolean whole = InferenceMemory.ofRank(model, types) <= settings.memory();
      long available = alone && whole ? backend.memoryAvailable() : Long.MAX_VALUE;
      folder.weights().require(serving, types, available, backend.onHost());
      if (whole) {
        model.allocate(backend, types);
        load.read(ModelTensors.destinations(model, backend), alone, progress);
      } else {
        new ExpertsOnDisk(load, model).load(progress);
      }
      if (!strict) {
        warnings.addAll(load.warnings);
        model.parameters().note(types).ifPresent(warnings::add);
      }
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /** Reads tensors; {@code whole} if they are all of the model. */
  void read(Map<String, LoadTarget> destinations, boolean whole, DoubleConsumer part) {
    folder.weights().load(destinations, backend, whole, strict, part).warnings().stream()
        .filter(text -> !warnings.contains(text))
        .forEach(warnings::add);
  }
}
