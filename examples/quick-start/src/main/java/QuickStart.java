import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.api.Device;
import panamoe.api.LayerSettings;
import panamoe.api.MoeLayer;

void main() {
  try (Arena arena = Arena.ofConfined();
      Device device = Device.open(Device.Type.AUTO, 0);
      MoeLayer layer = MoeLayer.create(device, LayerSettings.of(64, 256, 8, 2), 42)) {
    MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64); // 16 tokens of width 64
    MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64);
    x.fill((byte) 63);
    layer.forward(x, y, 16);
    IO.println(device.name() + ": " + y.getAtIndex(ValueLayout.JAVA_FLOAT, 0));
  }
}
