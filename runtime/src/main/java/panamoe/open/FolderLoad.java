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
import panamoe.param.Adapters;
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
    LoadEvent event = new LoadEvent(folder, backend.name());
    boolean alone = ranks.world().size() == 1;
    WeightTypes types = settings.types();
    ModelConfig limited = settings.config(folder.config());
    ModelConfig serving =
        folder.dropping() ? limited : limited.withGates(GateConfig::withoutDropping);
    boolean strict = warnings == null;
    FolderLoad load = new FolderLoad(folder, backend, settings, strict, new ArrayList<>());
    LanguageModel model = new LanguageModel(serving, ranks);
    try {
      model.adapted(folder.adapters());
      settings.adapters().declare(model);
      long bytes = InferenceMemory.ofRank(model, types);
      boolean whole = bytes <= settings.memory();
      long available = alone && whole ? backend.memoryAvailable() : Long.MAX_VALUE;
      long adapters = settings.adapters().bytes(serving, types);
      folder.weights().require(serving, types, available - adapters, backend.onHost());
      if (whole) {
        model.allocate(backend, types);
        load.read(ModelTensors.destinations(model.parameters(), backend), alone, progress);
      } else {
        new ExpertsOnDisk(load, model).load(progress);
      }
      settings.adapters().fill(model, backend);
      if (!strict) {
        warnings.addAll(load.warnings);
        warnings.addAll(settings.adapters().notes());
        model.parameters().note(types).ifPresent(warnings::add);
      }
      event.bytes = Math.min(bytes, settings.memory());
      event.commit();
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /** Reads tensors; {@code whole} if they are all of the model. */
  void read(Map<String, LoadTarget> destinations, boolean whole, DoubleConsumer part) {
    if (!settings.adapters().factors().isEmpty()) {
      destinations.keySet().removeIf(Adapters::isFactor);
    }
    folder.weights().load(destinations, backend, whole, strict, part).warnings().stream()
        .filter(text -> !warnings.contains(text))
        .forEach(warnings::add);
  }
}
