package panamoe.djl;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.util.passthrough.PassthroughNDManager;
import panamoe.io.JarVersion;

/**
 * DJL's engine "Panamoe": it loads language models, which write text. Its arrays only carry texts
 * and cannot be computed with; a network of arrays is another engine's, with a {@link MoeBlock}.
 *
 * <p>A model's device is DJL's CPU or GPU 0; or {@code Device.of("reference", -1)}, plain Java.
 * Thread-safe.
 */
public final class PanamoeEngine extends Engine {
  /** What DJL calls it, for {@code optEngine}. */
  public static final String NAME = "Panamoe";

  // Larger than other engines', so that one of them is the default where there are several.
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
   * A model to be loaded: {@link Model#load} takes a run's folder, a checkpoint, a quantized model,
   * a folder in Hugging Face's layout, or a GGUF file, and these options, all of them optional:
   *
   * <ul>
   *   <li>{@code precision}: "float32" (without it) or "bfloat16"
   *   <li>{@code experts}: "stored" (without it), "int8", "int4" or "decoded", as {@link
   *       panamoe.text.ModelOptions.Experts} says
   *   <li>{@code texts}: most texts that are written at a time, others wait; without it 1
   *   <li>{@code threads}: of the device; 0 (without it) is one per processor
   * </ul>
   *
   * <p>Loading throws a {@link java.io.FileNotFoundException} if there is nothing, a {@link
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
