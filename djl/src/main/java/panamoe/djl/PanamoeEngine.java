package panamoe.djl;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.util.passthrough.PassthroughNDManager;
import panamoe.io.JarVersion;

/**
 * DJL's engine "Panamoe", which loads language models and generates text. Its arrays only carry
 * strings and do not compute; networks of arrays use another engine and {@link MoeBlock}.
 *
 * <p>A model's device is DJL's CPU or GPU 0; or {@code Device.of("reference", -1)}, plain Java.
 * Thread-safe.
 */
public final class PanamoeEngine extends Engine {
  /** The engine's name, for {@code optEngine}. */
  public static final String NAME = "Panamoe";

  // Larger than other engines', so that any other engine is the default.
  static final int RANK = 100;

  private static final PanamoeEngine INSTANCE = new PanamoeEngine();

  private PanamoeEngine() {}

  static PanamoeEngine instance() {
    return INSTANCE;
  }

  @Override
  public Engine getAlternativeEngine() {
    return null;
  }

  @Override
  public String getEngineName() {
    return NAME;
  }

  @Override
  public int getRank() {
    return RANK;
  }

  /** The jar's version; "development" outside a jar. */
  @Override
  public String getVersion() {
    return JarVersion.orDevelopment(PanamoeEngine.class);
  }

  @Override
  public boolean hasCapability(String capability) {
    return false;
  }

  /**
   * A model to load: {@link Model#load} takes a run's folder, a checkpoint, a quantized model, a
   * folder in Hugging Face's layout, or a GGUF file, and these options:
   *
   * <ul>
   *   <li>{@code precision}: "float32" (default) or "bfloat16"
   *   <li>{@code weights}: "stored" (default), "int8", "int4" or "decoded", see {@link
   *       panamoe.text.ModelOptions.Weights}
   *   <li>{@code sequences}: most sequences generated at a time, 1 by default; others wait
   *   <li>{@code threads}: of the device; 0 (default) for one per processor
   * </ul>
   *
   * <p>Loading throws a {@link java.io.FileNotFoundException} if the path does not exist, a {@link
   * ai.djl.MalformedModelException} if the model is unknown, damaged or too large for the machine,
   * an {@link IllegalArgumentException} if an option is wrong, and an {@link
   * ai.djl.engine.EngineException} if the device is not available. The caller closes the model.
   */
  @Override
  public Model newModel(String name, Device device) {
    return new PanamoeModel(name, newBaseManager(device));
  }

  @Override
  public NDManager newBaseManager() {
    return newBaseManager(null);
  }

  @Override
  public NDManager newBaseManager(Device device) {
    return new PassthroughNDManager(this, device == null ? Device.cpu() : device);
  }

  @Override
  public String toString() {
    return NAME + " " + getVersion();
  }
}
