package panamoe.djl;

import ai.djl.Model;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.translate.NoopTranslator;
import panamoe.api.Device;
import panamoe.api.LayerSettings;
import panamoe.api.MoeLayer;

/** The example of {@link MoeBlock}'s documentation and of the cookbook; a test runs it. */
final class MoeBlockExample {
  private MoeBlockExample() {}

  static float[] run() throws Exception {
    // @start region="network"
    try (Device device = Device.open("cpu", 0);
        MoeLayer layer = MoeLayer.create(device, LayerSettings.of(64, 256, 8, 2), 42);
        Model model = Model.newInstance("network", "PyTorch")) {
      SequentialBlock network =
          new SequentialBlock()
              .add(Linear.builder().setUnits(64).build())
              .add(new MoeBlock(layer))
              .add(Linear.builder().setUnits(10).build());
      model.setBlock(network);
      network.initialize(model.getNDManager(), DataType.FLOAT32, new Shape(16, 32));
      try (Predictor<NDList, NDList> predictor = model.newPredictor(new NoopTranslator());
          NDManager manager = model.getNDManager().newSubManager()) {
        NDList x = new NDList(manager.ones(new Shape(16, 32)));
        return predictor.predict(x).head().toFloatArray(); // [16, 10]
      }
    }
    // @end
  }
}
