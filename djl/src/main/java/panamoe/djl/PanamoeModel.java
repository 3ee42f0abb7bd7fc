package panamoe.djl;

import ai.djl.BaseModel;
import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import java.io.FileNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.api.Precision;
import panamoe.io.Require;
import panamoe.text.MoeModel;
import panamoe.text.ServiceOptions;
import panamoe.text.TextService;

/** A language model that DJL loaded, with its own device. */
final class PanamoeModel extends BaseModel {
  private Device device; // null until loaded

  PanamoeModel(String name, NDManager manager) {
    super(name);
    this.manager = manager;
  }

  /** Loads a model, see {@link PanamoeEngine#newModel}; {@code prefix} is ignored. */
  @Override
  public void load(Path path, String prefix, Map<String, ?> options)
      throws FileNotFoundException, MalformedModelException {
    if (device != null) {
      throw new IllegalStateException("the model is loaded already");
    }
    if (Files.notExists(path)) {
      throw new FileNotFoundException("there is no model " + path);
    }
    LoadOptions given = Failures.translating(() -> LoadOptions.of(options));
    Device opened = Failures.translating(() -> Device.open(deviceName(), given.threads()));
    try {
      MoeModel model = open(opened, path, given);
      setBlock(new TextBlock(TextService.of(model, ServiceOptions.USUAL)));
    } catch (MalformedModelException | RuntimeException | Error e) {
      opened.close();
      throw e;
    }
    device = opened;
    modelDir = path;
    wasLoaded = true;
    boolean bfloat16 = given.model().precision() == Precision.BFLOAT16;
    setDataType(bfloat16 ? DataType.BFLOAT16 : DataType.FLOAT32);
  }

  private static MoeModel open(Device device, Path path, LoadOptions options)
      throws MalformedModelException {
    try {
      return Failures.translating(() -> MoeModel.open(device, path, options.model()));
    } catch (ai.djl.engine.EngineException e) {
      if (e.getCause() instanceof PanamoeException.BadModel) {
        throw new MalformedModelException(e.getMessage(), e.getCause());
      }
      throw e;
    }
  }

  /** Panamoe's name for the manager's device. */
  private String deviceName() {
    ai.djl.Device asked = manager.getDevice();
    if (!asked.isGpu()) {
      return asked.getDeviceType();
    }
    Require.that(
        asked.getDeviceId() == 0,
        "the device is %s, expected gpu(0): CUDA_VISIBLE_DEVICES selects that GPU",
        asked);
    return "cuda";
  }

  /**
   * @throws UnsupportedOperationException always: the model's files stay where it was loaded from
   */
  @Override
  public void save(Path path, String name) {
    throw new UnsupportedOperationException(
        "DJL does not save a language model: its files are in " + modelDir);
  }

  /** Ends all completions, which fail, and frees the model. Idempotent. */
  @Override
  public void close() {
    if (device != null) {
      device.close();
    }
    super.close();
  }

  /** Does nothing. The base class would warn of an open manager, and this one is always open. */
  @Override
  protected void finalize() {}
}
