package panamoe.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import panamoe.api.Device;
import panamoe.api.internal.Access;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.backend.Backend;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;

/**
 * A model with a device of its own, which an engine's thread uses until {@code reader} is closed.
 *
 * @param reader computes with the model
 * @param warnings of the loader
 */
record ReadModel<T extends AutoCloseable>(
    Device device, LanguageModel model, ModelFolder folder, T reader, List<String> warnings) {
  /** Makes the reader of a model. */
  interface Maker<T> {
    T make(ModelFolder folder, Backend backend, LanguageModel model);
  }

  /** Reads how a model is used, before its weights. */
  interface Form<T> {
    Maker<T> of(ModelFolder folder);
  }

  static <T extends AutoCloseable> ReadModel<T> open(
      Path path, RetrievalOptions options, Form<T> form) {
    Failures.run(
        () -> {
          Argument.notNull("path", path);
          Argument.notNull("options", options);
        });
    Device device = Device.open(options.device(), options.threads());
    try {
      return Failures.translating(() -> open(path, options, form, device));
    } catch (RuntimeException | Error e) {
      device.close();
      throw e;
    }
  }

  private static <T extends AutoCloseable> ReadModel<T> open(
      Path path, RetrievalOptions options, Form<T> form, Device device) {
    Backend backend = Access.to("device", device).backend();
    ModelFolder whole = ModelFolder.open(path);
    ModelFolder folder = whole.withContext(Math.min(options.longest(), whole.config().context()));
    Maker<T> maker = form.of(folder);
    ModelOptions loaded =
        ModelOptions.USUAL.withPrecision(options.precision()).withWeights(options.weights());
    WeightTypes types = loaded.types(folder);
    backend.requireMemory(
        "the keys and values of a text (RetrievalOptions.withLongest)",
        (double) InferenceMemory.of(folder.config(), types).keysAndValues());
    List<String> warnings = new ArrayList<>();
    LanguageModel model = folder.load(backend, InferenceSettings.of(types), warnings);
    try {
      T reader = maker.make(folder, backend, model);
      return new ReadModel<>(device, model, folder, reader, List.copyOf(warnings));
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  void close() {
    try {
      reader.close();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    } finally {
      model.close();
      device.close();
    }
  }
}
