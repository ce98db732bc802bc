"""What `import fundiff` offers: each name is imported when it is first used."""

from .data.digits import digits as digits
from .data.masks import load_inpainting as load_inpainting
from .data.masks import load_mask as load_mask
from .data.masks import mask as mask
from .data.pictures import load_picture as load_picture
from .data.pictures import picture as picture
from .data.sheets import save as save
from .errors import FundiffError as FundiffError
from .filters import GaussianBlur as GaussianBlur
from .filters import MotionBlur as MotionBlur
from .filters import grey_and_colour as grey_and_colour
from .filters import low_and_high as low_and_high
from .guidance import Combination as Combination
from .guidance import Guided as Guided
from .guidance import Thresholded as Thresholded
from .guidance import batches as batches
from .guidance import guided as guided
from .illusions import Anagram as Anagram
from .illusions import Factorized as Factorized
from .illusions import anagram as anagram
from .illusions import factorized as factorized
from .illusions import hybrid as hybrid
from .models.if_model import load as load
from .networks import bind as bind
from .networks import bind_flow as bind_flow
from .permutations import Jigsaw as Jigsaw
from .plots.figures import show as show
from .process import add_noise as add_noise
from .process import ddim_step as ddim_step
from .process import ddpm_step as ddpm_step
from .process import predict_x0 as predict_x0
from .rng import noise as noise
from .sampling import denoise as denoise
from .sampling import inpaint as inpaint
from .sampling import keep_part as keep_part
from .sampling import sample as sample
from .sampling import sdedit as sdedit
from .schedule import NoiseSchedule as NoiseSchedule
from .schedule import resampling as resampling
from .solvers import dpm_step as dpm_step
from .types import Prediction as Prediction
from .views import Identity as Identity
from .views import Negation as Negation
from .views import Rotation as Rotation
from .views import VerticalFlip as VerticalFlip

__all__: list[str]
__version__: str
