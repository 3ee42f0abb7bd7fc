package panamoe.open;

import java.util.List;
import java.util.Map;
import java.util.function.DoubleConsumer;
import panamoe.backend.Backend;
import panamoe.checkpoint.Destination;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;

/** Loads the model of a {@link ModelFolder}: all of it to memory, or experts through a cache. */
final class FolderLoad {
  private FolderLoad() {}

  /** What this rank holds; as {@link ModelFolder#load}, without another try. */
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
    LanguageModel model = new LanguageModel(serving, ranks);
    try {
      boolean whole = InferenceMemory.ofRank(model, types) <= settings.memory();
      long available = alone && whole ? backend.memoryAvailable() : Long.MAX_VALUE;
      folder.weights().require(serving, types, available, backend.onHost());
      List<String> found;
      if (whole) {
        model.allocate(backend, types);
        Map<String, Destination> destinations = ModelTensors.destinations(model, backend);
        found = folder.weights().load(destinations, backend, alone, strict, progress).warnings();
      } else {
        found = ExpertsOnDisk.load(folder, backend, settings, strict, model, progress);
      }
      if (!strict) {
        warnings.addAll(found);
        model.parameters().note(types).ifPresent(warnings::add);
      }
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }
}
