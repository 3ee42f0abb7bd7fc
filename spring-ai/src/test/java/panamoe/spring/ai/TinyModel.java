package panamoe.spring.ai;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import panamoe.api.Device;
import panamoe.api.ModelSettings;
import panamoe.api.TrainableModel;
import panamoe.data.TinyTokenizer;

/** A tiny model of random weights, with a released template that has tools. */
public final class TinyModel {
  /** The template. */
  public static final Path TEMPLATE =
      Path.of("../lab/golden/templates/text/Qwen-Qwen2.5-7B-Instruct.jinja");

  private TinyModel() {}

  /** Writes it. */
  public static void write(Path folder) throws IOException {
    try (Device device = Device.open("cpu", 1);
        TrainableModel model =
            TrainableModel.create(device, ModelSettings.of(421, 4096, 16, 2, List.of(0, 4)), 3)) {
      model.save(folder, 0, Map.of());
    }
    Files.writeString(folder.resolve("tokenizer.json"), TinyTokenizer.json().toString());
  }
}
