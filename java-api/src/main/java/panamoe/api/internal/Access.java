package panamoe.api.internal;

import panamoe.api.Device;
import panamoe.api.Precision;
import panamoe.api.TrainableModel;
import panamoe.backend.Backend;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;

/** What other modules of Panamoe need of the facade's objects, without public methods on them. */
public abstract class Access {
  private static volatile Access access; // set when Device is initialized

  /** Called by {@link Device}, which can see into the facade's objects. */
  public static void set(Access given) {
    access = given;
  }

  /** The device's backend. */
  public static Backend backendOf(Device device) {
    return access.backend(device);
  }

  /** The backend of the model's device. */
  public static Backend backendOf(TrainableModel model) {
    return access.backend(model);
  }

  /**
   * The model's lifetime.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the model is null
   */
  public static Lifetime lifetimeOf(TrainableModel model) {
    Failures.translating(() -> Argument.notNull("model", model));
    return access.lifetime(model);
  }

  /** The model's weights as kernels read them. Call it inside a call of the device. */
  public static LanguageModel weightsOf(TrainableModel model) {
    return access.weights(model);
  }

  /**
   * The device's lifetime.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the device is null
   */
  public static Lifetime lifetimeOf(Device device) {
    Failures.translating(() -> Argument.notNull("device", device));
    return access.lifetime(device);
  }

  /** The runtime's type of a precision's elements. Call it when there is a device. */
  public static DType dtypeOf(Precision precision) {
    return access.dtype(precision);
  }

  protected abstract DType dtype(Precision precision);

  protected abstract Backend backend(Device device);

  protected abstract Lifetime lifetime(Device device);

  protected abstract Backend backend(TrainableModel model);

  protected abstract Lifetime lifetime(TrainableModel model);

  protected abstract LanguageModel weights(TrainableModel model);
}
