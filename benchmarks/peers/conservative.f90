! Conservative advection q_t + (u q)_x + (v q)_y = 0 for SharpClaw; aux(ixy, i) is the velocity at the left face of cell i.
! The whole upwind flux of a face is handed on as fluctuation, -F to the right and F to the left, and cells have none of
! their own: dq = -(F(i+1) - F(i)) dt/dx, so mass is kept to rounding.

subroutine rpn2(ixy, maxm, meqn, mwaves, maux, mbc, mx, ql, qr, auxl, auxr, wave, s, amdq, apdq)
    implicit none
    integer, intent(in) :: ixy, maxm, meqn, mwaves, maux, mbc, mx
    real(kind=8), intent(in) :: ql(meqn, 1-mbc:maxm+mbc), qr(meqn, 1-mbc:maxm+mbc)
    real(kind=8), intent(in) :: auxl(maux, 1-mbc:maxm+mbc), auxr(maux, 1-mbc:maxm+mbc)
    real(kind=8), intent(out) :: wave(meqn, mwaves, 1-mbc:maxm+mbc), s(mwaves, 1-mbc:maxm+mbc)
    real(kind=8), intent(out) :: amdq(meqn, 1-mbc:maxm+mbc), apdq(meqn, 1-mbc:maxm+mbc)
    integer :: i
    do i = 2-mbc, mx+mbc
        s(1,i) = auxl(ixy,i)
        amdq(1,i) = max(auxl(ixy,i), 0.d0) * qr(1,i-1) + min(auxl(ixy,i), 0.d0) * ql(1,i)
        apdq(1,i) = -amdq(1,i)
    end do
end subroutine rpn2

subroutine tfluct2(ixy, maxm, meqn, mwaves, maux, mbc, mx, ql, qr, auxl, auxr, adq)
    implicit none
    integer, intent(in) :: ixy, maxm, meqn, mwaves, maux, mbc, mx
    real(kind=8), intent(in) :: ql(meqn, 1-mbc:maxm+mbc), qr(meqn, 1-mbc:maxm+mbc)
    real(kind=8), intent(in) :: auxl(maux, 1-mbc:maxm+mbc), auxr(maux, 1-mbc:maxm+mbc)
    real(kind=8), intent(out) :: adq(meqn, 1-mbc:maxm+mbc)
    adq = 0.d0
end subroutine tfluct2
