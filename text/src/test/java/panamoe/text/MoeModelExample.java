package panamoe.text;

import java.nio.file.Path;
import panamoe.api.Device;

/** The example of {@link MoeModel}'s documentation; a test runs it. */
final class MoeModelExample {
  private MoeModelExample() {}

  static String run(Path folder) {
    // @start region="model"
    try (Device device = Device.open("auto", 0);
        MoeModel model = MoeModel.open(device, folder, false)) {
      return model.generate("Mr President", 100, 0.8, 1, System.out::print);
    }
    // @end
  }
}
